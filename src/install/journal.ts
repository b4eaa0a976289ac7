import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import {
  copyTree,
  copyWhole,
  fileState,
  isSame,
  lookAt,
  makeFolder,
  makeLink,
  moveOver,
  remove,
  removeFolder,
  removeNew,
  removeTree,
  writeWhole,
} from './files.ts'
import {
  BEFORE,
  type Change,
  type Changes,
  checkBeside,
  clearState,
  FORMAT,
  INSTALLED,
  type Installed,
  inOrder,
  ownUser,
  type Part,
  PENDING,
  PREVIOUS,
  readList,
  STATE,
  withRun,
  writeList,
} from './lists.ts'
import type { Root } from './root.ts'

/** What was not put back, since it is not what was written. */
export interface Left {
  readonly path: string
  /** Where the file as it was is kept. */
  readonly backup: string | undefined
}

/**
 * Changes files of a node so that they can be put back, also after a crash at any moment: what is going to
 * change is written down before it changes, what was there is kept beside it, and each file is written in
 * one step. Every method throws ResolveError DENIED for what cannot be written.
 */
export class Journal {
  readonly #root: Root
  #installed: Installed | undefined
  #run: string
  #pending: Map<string, Change>
  /** Of a run that was interrupted at its very end. */
  #done: readonly Change[]
  #kubeletAt: string | null
  #kubeletBackAt: string | null

  /**
   * @throws ResolveError CONFIG_INVALID for a list that cannot be used, or that others may write; DENIED
   * where a link leads from a path of it out of the root
   */
  constructor(root: Root) {
    this.#root = root
    this.#installed = readList<Installed>(root, INSTALLED)
    const pending = readList<Changes>(root, PENDING)
    // A run that was interrupted between the two steps of commit() is done.
    const open = pending?.run === this.#installed?.run ? undefined : pending
    this.#run = open?.run ?? randomUUID()
    this.#pending = new Map(open?.changes.map((change) => [change.path, change]))
    this.#done = open === undefined ? (pending?.changes ?? []) : []
    for (const { path } of [...this.pending, ...(this.#installed?.changes ?? [])]) this.#at(path)
    const last = open ?? this.#installed
    this.#kubeletAt = last?.kubeletAt ?? null
    this.#kubeletBackAt = last?.kubeletBackAt ?? null
  }

  /** When kubelet's files were changed first, and when they were put back (RFC 3339). */
  get kubelet(): { readonly changedAt: string | null; readonly backAt: string | null } {
    return { changedAt: this.#kubeletAt, backAt: this.#kubeletBackAt }
  }

  get installed(): Installed | undefined {
    return this.#installed
  }

  /** What this run has changed, and the one before it that was interrupted. */
  get pending(): readonly Change[] {
    return [...this.#pending.values()]
  }

  /** A file of the installation that was changed since. */
  isForeign(path: string): boolean {
    const real = this.#root.real(path, false)
    const known = this.#known(real)
    return known !== undefined && !isSame(lookAt(this.#at(real)), known.after)
  }

  /** The file, link or folder is of the installation. */
  isOwn(path: string): boolean {
    const real = this.#root.real(path, false)
    return this.#pending.has(real) || this.#known(real) !== undefined
  }

  /**
   * Copies and new files are written beside a file: one of that name which is there already is of others.
   *
   * @throws ResolveError DENIED, before something is changed
   */
  checkFree(path: string, followLast = true): void {
    const real = this.#root.real(path, followLast)
    if (!this.#pending.has(real)) checkBeside(this.#root, real, this.#known(real))
  }

  /** Writes a file. One that is there keeps its mode and owner. */
  write(path: string, content: string | Buffer, part: Part, mode = 0o644): boolean {
    const real = this.#root.real(path)
    const before = lookAt(this.#at(real))
    const access = before?.kind === 'file' ? before : { mode, ...ownUser() }
    const bytes = Buffer.from(content)
    const after = fileState(bytes, { mode: access.mode, uid: access.uid, gid: access.gid })
    return this.#change({ path: real, part, after }, (at) => writeWhole(at, bytes, access))
  }

  /** Makes a link, or turns one. */
  link(path: string, target: string, part: Part): boolean {
    const real = this.#root.real(path, false)
    return this.#change({ path: real, part, after: { kind: 'link', target } }, (at) =>
      makeLink(at, target),
    )
  }

  /** Makes a folder of copies. It goes with everything in it. */
  tree(path: string, files: Parameters<typeof copyTree>[1], part: Part): boolean {
    const real = this.#root.real(path)
    return this.#change({ path: real, part, after: { kind: 'folder' }, whole: true }, (at) =>
      copyTree(at, files),
    )
  }

  /** Makes a folder, if there is none; `whole`: it goes with everything in it. */
  folder(path: string, part: Part, { mode = 0o755, whole = false } = {}): boolean {
    const real = this.#root.real(path)
    const after = { kind: 'folder' } as const
    return this.#change({ path: real, part, after, ...(whole ? { whole } : {}) }, (at) =>
      makeFolder(at, mode),
    )
  }

  /** @returns false where it is as wanted */
  #change(wanted: Omit<Change, 'before' | 'backup'>, make: (at: string) => void): boolean {
    const { path, part, after } = wanted
    const at = this.#at(path)
    if (isSame(lookAt(at), after)) return false
    // An interrupted run has made something else of it.
    const earlier = this.#pending.get(path)
    if (earlier !== undefined) this.#undo(earlier)
    if (path !== '/') this.folder(posix.dirname(path), part)
    const before = lookAt(at) ?? null
    this.checkFree(path, false)
    if (before?.kind === 'folder') throw new ResolveError('DENIED', `${path} is a folder`)
    const isTaken = this.#known(path)?.backup?.endsWith(BEFORE) === true
    const backup = `${path}${isTaken ? PREVIOUS : BEFORE}`
    const isKept = before?.kind === 'file'
    if (part === 'kubelet') {
      if (this.#kubeletBackAt !== null) this.#kubeletAt = null
      this.#kubeletAt ??= new Date().toISOString()
      this.#kubeletBackAt = null
    }
    this.#pending.set(path, { ...wanted, before, ...(isKept ? { backup } : {}) })
    this.#writePending()
    if (isKept) copyWhole(at, this.#at(backup))
    make(at)
    return true
  }

  /** What this run has changed belongs to the installation from now on. */
  commit(about: Pick<Installed, 'version' | 'at' | 'socket' | 'runtime'>): void {
    const changes = withRun(this.#installed?.changes ?? [], this.pending)
    this.#writeInstalled({ ...about, ...this.#head(), changes })
    this.#endRun()
  }

  /** Puts back what the run has changed that was interrupted, or is of no use. */
  rollBack(): readonly Left[] {
    const left = this.#undoAll(this.pending)
    const isOwn = this.#pending.has(STATE)
    if (isOwn) clearState(this.#root, PENDING)
    this.#endRun()
    if (isOwn) removeFolder(this.#root.outside(STATE))
    return left
  }

  /** Puts back kubelet's files, as they were before the installation, and writes down when. */
  putKubeletBack(): readonly Left[] {
    const ofPart = (changes: readonly Change[]) => changes.filter(({ part }) => part === 'kubelet')
    const left = [
      ...this.#undoAll(ofPart(this.pending)),
      ...this.#undoAll(ofPart(this.#installed?.changes ?? [])),
    ]
    if (this.#kubeletAt !== null && this.#kubeletBackAt === null) {
      this.#kubeletBackAt = new Date().toISOString()
      const { kubeletAt, kubeletBackAt } = this.#head()
      if (this.#pending.size > 0) this.#writePending()
      if (this.#installed !== undefined) {
        this.#writeInstalled({ ...this.#installed, kubeletAt, kubeletBackAt })
      }
    }
    return left.filter(({ path }, index) => left.findIndex((each) => each.path === path) === index)
  }

  /** Puts everything back, and forgets that there was an installation. */
  end(): readonly Left[] {
    const left = [...this.rollBack(), ...this.#undoAll(this.#installed?.changes ?? [])]
    if (this.#known(STATE) !== undefined) clearState(this.#root, INSTALLED)
    remove(this.#root.outside(INSTALLED))
    this.#installed = undefined
    removeFolder(this.#root.outside(STATE))
    return left
  }

  /** Removes what a run that was interrupted at its very end has left. */
  tidy(): void {
    if (this.#pending.size > 0) return
    if (this.#root.exists(PENDING)) this.#endRun()
    if (this.#installed === undefined) removeFolder(this.#root.outside(STATE))
  }

  /** Takes away something that the installation has made and needs no more. */
  drop(path: string): void {
    const installed = this.#installed
    const change = this.#known(path)
    if (installed === undefined || change === undefined) return
    this.#undo(change)
    const changes = installed.changes.filter((each) => each !== change)
    this.#writeInstalled({ ...installed, changes })
  }

  #undoAll(changes: readonly Change[]): readonly Left[] {
    return inOrder(changes).flatMap((change) => this.#undo(change) ?? [])
  }

  /** @returns what was left as it is; the list itself goes last */
  #undo({ path, before, after, whole, backup }: Change): Left | undefined {
    if (path === STATE) return undefined
    const [at, kept] = [this.#at(path), backup === undefined ? undefined : this.#at(backup)]
    removeNew(at)
    if (isSame(lookAt(at), before ?? undefined)) {
      if (kept !== undefined) remove(kept)
      return undefined
    }
    if (!isSame(lookAt(at), after)) return { path, backup }
    if (after.kind === 'folder') {
      if (whole) removeTree(at)
      return whole || removeFolder(at) ? undefined : { path, backup: undefined }
    }
    if (before === null) remove(at)
    else if (before.kind === 'link') makeLink(at, before.target)
    else if (kept === undefined || !isSame(lookAt(kept), before)) return { path, backup }
    else moveOver(kept, at)
    return undefined
  }

  #endRun(): void {
    const paths = new Set([...this.pending, ...this.#done].map(({ path }) => path))
    for (const { path, backup } of this.#installed?.changes ?? []) {
      if (!paths.has(path)) continue
      for (const name of [`${path}${BEFORE}`, `${path}${PREVIOUS}`]) {
        if (name !== backup) remove(this.#at(name))
      }
    }
    remove(this.#root.outside(PENDING))
    this.#pending = new Map()
    this.#done = []
    this.#run = randomUUID()
  }

  #known(path: string): Change | undefined {
    return this.#installed?.changes.find((change) => change.path === path)
  }

  #at(path: string): string {
    return this.#root.inside(path)
  }

  #writePending(): void {
    const at = this.#root.outside(STATE)
    // The list is in it. An empty one is from a run that was ended right here.
    const isNew = lookAt(at) === undefined || readdirSync(at).length === 0
    if (isNew && this.#installed === undefined && !this.#pending.has(STATE)) {
      const after = { kind: 'folder' } as const
      this.#pending.set(STATE, { path: STATE, part: 'state', before: null, after })
      if (lookAt(at) === undefined) makeFolder(at, 0o700)
    }
    writeList(this.#root, PENDING, { ...this.#head(), changes: this.pending })
  }

  #head(): Omit<Changes, 'changes'> {
    const [kubeletAt, kubeletBackAt] = [this.#kubeletAt, this.#kubeletBackAt]
    return { format: FORMAT, run: this.#run, kubeletAt, kubeletBackAt }
  }

  #writeInstalled(installed: Installed): void {
    writeList(this.#root, INSTALLED, installed)
    this.#installed = installed
  }
}
