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
  remove,
  removeFolder,
  writeWhole,
} from './files.ts'
import {
  type About,
  aboutIn,
  backupFor,
  type Change,
  type Changes,
  checkBeside,
  clearState,
  FORMAT,
  INSTALLED,
  type Installed,
  kubeletIsBack,
  kubeletIsChanged,
  ownUser,
  type Part,
  PENDING,
  readList,
  STATE,
  withRun,
  writeList,
} from './lists.ts'
import type { Root } from './root.ts'
import { checkDone, isStuck, type Left, openAfter, removeCopies, undoAll } from './undo.ts'

const FOLDER = { kind: 'folder' } as const

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
  #about: About

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
    this.#about = aboutIn(this.#installed, open)
  }

  /** What is known of kubelet and of sockets. */
  get about(): About {
    return this.#about
  }

  /** Tells which sockets the service and the runtime have from now on, for what is written next. */
  begin({ runtime, socket }: Pick<Installed, 'runtime' | 'socket'>): void {
    const sockets = [...new Set([...this.#about.sockets, socket])]
    this.#about = { ...this.#about, sockets, runtime: runtime ?? this.#about.runtime }
  }

  /** Takes over an installation with a lost list; commit() writes it down. */
  adopt(list: Omit<Installed, 'format' | 'run'>): void {
    this.#installed = { ...list, format: FORMAT, run: randomUUID() }
    this.#about = aboutIn(this.#installed, undefined)
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
    return known !== undefined && !isSame(lookAt(this.#at(real)), known.after ?? undefined)
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
    return this.#change({ path: real, part, after: FOLDER, whole: true }, (at) =>
      copyTree(at, files),
    )
  }

  /** Makes a folder, if there is none; `whole`: it goes with everything in it. */
  folder(path: string, part: Part, { mode = 0o755, whole = false } = {}): boolean {
    const real = this.#root.real(path)
    return this.#change({ path: real, part, after: FOLDER, ...(whole ? { whole } : {}) }, (at) =>
      makeFolder(at, mode),
    )
  }

  /** Takes a file away. */
  remove(path: string, part: Part): boolean {
    return this.#change({ path: this.#root.real(path), part, after: null }, remove)
  }

  /** @returns false where it is as wanted */
  #change(wanted: Omit<Change, 'before' | 'backup'>, make: (at: string) => void): boolean {
    const { path, part, after } = wanted
    const at = this.#at(path)
    if (isSame(lookAt(at), after ?? undefined)) return false
    // An interrupted run has made something else of it.
    const earlier = this.#pending.get(path)
    if (earlier !== undefined) this.#undoAll([earlier])
    if (path !== '/') this.folder(posix.dirname(path), part)
    const before = lookAt(at) ?? null
    this.checkFree(path, false)
    if (before?.kind === 'folder') throw new ResolveError('DENIED', `${path} is a folder`)
    const backup = backupFor(path, this.#known(path))
    const isKept = before?.kind === 'file'
    if (part === 'kubelet') this.#about = kubeletIsChanged(this.#about)
    this.#pending.set(path, { ...wanted, before, ...(isKept ? { backup } : {}) })
    this.#writePending()
    if (isKept) copyWhole(at, this.#at(backup))
    make(at)
    return true
  }

  /** What this run has changed belongs to the installation from now on. */
  commit(about: Pick<Installed, 'version' | 'at' | 'socket' | 'runtime'>): void {
    this.begin(about)
    const changes = withRun(this.#installed?.changes ?? [], this.pending)
    this.#writeInstalled({ ...about, ...this.#about, format: FORMAT, run: this.#run, changes })
    try {
      this.#endRun(true)
    } catch {
      // It has ended well all the same: the next run does that first.
    }
  }

  /** Puts back what the run has changed that was interrupted, or is of no use; what cannot be stays in the list. */
  rollBack(): readonly Left[] {
    const left = this.#undoAll(this.pending)
    const open = openAfter(this.pending, left)
    if (open !== undefined) {
      this.#pending = new Map(open.map((change) => [change.path, change]))
      this.#writePending()
      return left
    }
    const isOwn = this.#pending.has(STATE)
    if (isOwn) clearState(this.#root, PENDING)
    this.#endRun()
    if (isOwn) removeFolder(this.#root.outside(STATE))
    return left
  }

  /** Puts back kubelet's files, as they were before the installation, and writes down when. */
  putKubeletBack(): readonly Left[] {
    const ofPart = (changes: readonly Change[]) => changes.filter(({ part }) => part === 'kubelet')
    const installed = this.#installed
    const left = [
      ...this.#undoAll(ofPart(this.pending)),
      ...this.#undoAll(ofPart(installed?.changes ?? [])),
    ].filter(({ path }, index, all) => all.findIndex((each) => each.path === path) === index)
    if (!isStuck(left)) this.#about = kubeletIsBack(this.#about)
    // What is put back may be changed by others from now on.
    const isThere = ({ part, path }: Change): boolean =>
      part !== 'kubelet' || left.some((each) => each.path === path)
    this.#pending = new Map([...this.#pending].filter(([, change]) => isThere(change)))
    try {
      if (this.#root.exists(PENDING)) this.#writePending()
      if (installed !== undefined) {
        const changes = installed.changes.filter(isThere)
        this.#writeInstalled({ ...installed, ...this.#about, changes })
      }
    } catch {
      // On a full disk, for one: without that time, kubelet is restarted once more at most.
    }
    return left
  }

  /** Puts everything back, and forgets that there was an installation, but for what cannot be written. */
  end(): readonly Left[] {
    const installed = this.#installed
    const left = [...this.rollBack(), ...this.#undoAll(installed?.changes ?? [])]
    const changes = installed && openAfter(installed.changes, left)
    if (installed !== undefined && changes !== undefined) {
      this.#writeInstalled({ ...installed, changes })
      return left
    }
    if (this.#known(STATE) !== undefined) clearState(this.#root, INSTALLED)
    remove(this.#root.outside(INSTALLED))
    this.#installed = undefined
    removeFolder(this.#root.outside(STATE))
    return left
  }

  /** Removes what a run that was interrupted at its very end has left. */
  tidy(): void {
    if (this.#pending.size > 0) return
    if (this.#root.exists(PENDING)) this.#endRun(true)
    if (this.#installed === undefined) removeFolder(this.#root.outside(STATE))
  }

  /** Takes away something that the installation has made and needs no more. */
  drop(path: string): void {
    const installed = this.#installed
    const change = this.#known(path)
    if (installed === undefined || change === undefined) return
    checkDone(this.#undoAll([change]))
    const changes = installed.changes.filter((each) => each !== change)
    this.#writeInstalled({ ...installed, changes })
  }

  #undoAll(changes: readonly Change[]): readonly Left[] {
    return undoAll(this.#root, changes, this.#installed?.changes ?? [])
  }

  /** @param isDone the copies of what is as it was before the installation are of no use any more */
  #endRun(isDone = false): void {
    const ended = [...this.pending, ...this.#done]
    removeCopies(this.#root, ended, this.#installed?.changes ?? [], isDone)
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
      this.#pending.set(STATE, { path: STATE, part: 'state', before: null, after: FOLDER })
    }
    writeList(this.#root, PENDING, {
      ...this.#about,
      format: FORMAT,
      run: this.#run,
      changes: this.pending,
    })
  }

  #writeInstalled(installed: Installed): void {
    writeList(this.#root, INSTALLED, installed)
    this.#installed = installed
  }
}
