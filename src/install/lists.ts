import { closeSync, lstatSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import { openTrustedFileSync } from '../host/trusted-file.ts'
import { type FileState, isSame, makeFolder, NEW, removeAll, writeWhole } from './files.ts'
import type { Root } from './root.ts'

/** The folder of the service's state, where the list of changes is. */
export const STATE = '/var/lib/image-resolver'
export const INSTALLED = `${STATE}/install.json`
/** What a run has changed that has not ended yet. */
export const PENDING = `${STATE}/install.pending.json`
export const FORMAT = 1

/** Neither systemd nor kubelet, k3s or containerd reads files with such an end. */
export const BEFORE = '.before-image-resolver'
export const PREVIOUS = '.previous-image-resolver'

/** What a change is part of. */
export type Part = 'kubelet' | 'unit' | 'hosts' | 'config' | 'program' | 'state'

/** A file, link or folder that is not as it was. */
export interface Change {
  /** On the node, without links. */
  readonly path: string
  readonly part: Part
  /** null: there was nothing. */
  readonly before: FileState | null
  /** null: there is nothing any more. */
  readonly after: FileState | null
  /** A folder that goes with everything in it. */
  readonly whole?: true
  /** Where the file as it was is kept. */
  readonly backup?: string
}

/** What is known of kubelet and of sockets. */
export interface About {
  /** When kubelet's files were changed first (RFC 3339); null: they were not. */
  readonly kubeletAt: string | null
  /** When they were changed last. */
  readonly kubeletLastAt: string | null
  /** When they were put back. */
  readonly kubeletBackAt: string | null
  /** The CRI sockets that the service has had: kubelet may be led to each of them. */
  readonly sockets: readonly string[]
  /** The runtime's socket, which kubelet is led back to; null: not known. */
  readonly runtime: string | null
}

/** What a run has changed that has not ended, as install.pending.json has it. */
export interface Changes extends About {
  readonly format: typeof FORMAT
  /** Of the run that wrote it. */
  readonly run: string
  readonly changes: readonly Change[]
}

/** An installation, as install.json has it. */
export interface Installed extends Changes {
  readonly version: string
  /** RFC 3339. */
  readonly at: string
  /** The service's CRI socket. */
  readonly socket: string
}

/**
 * Reads a list. It says which files are replaced by root, so it has to be a file that root alone may write.
 *
 * @returns undefined where there is none
 * @throws ResolveError CONFIG_INVALID for one that cannot be used
 */
export function readList<T extends Changes>(root: Root, path: string): T | undefined {
  try {
    const file = openTrustedFileSync(root.outside(path))
    if (file === undefined) return undefined
    try {
      const list: T = JSON.parse(readFileSync(file, 'utf8'))
      checkFields('', list, path === INSTALLED ? { ...LIST, ...INSTALLATION } : LIST)
      checkChanges(list.changes)
      return list
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw unusable(path, cause)
  }
}

type Check = (value: unknown) => boolean
const isText: Check = (value) => typeof value === 'string'
const isTextOrNull: Check = (value) => value === null || isText(value)
const isTime: Check = (value) => isText(value) && !Number.isNaN(Date.parse(String(value)))
const isTimeOrNull: Check = (value) => value === null || isTime(value)
const isList =
  (each: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(each)

const LIST: Readonly<Record<keyof Changes, Check>> = {
  format: (value) => value === FORMAT,
  run: isText,
  kubeletAt: isTimeOrNull,
  kubeletLastAt: isTimeOrNull,
  kubeletBackAt: isTimeOrNull,
  sockets: isList(isText),
  runtime: isTextOrNull,
  changes: isList(() => true),
}
const INSTALLATION = { version: isText, at: isTime, socket: isText }
const CHANGE = {
  part: (value: unknown) => ORDER.includes(value as Part),
  whole: (value: unknown) => value === undefined || value === true,
}
const STATES: Readonly<Record<FileState['kind'], Readonly<Record<string, Check>>>> = {
  file: { sha256: isText, mode: Number.isInteger, uid: Number.isInteger, gid: Number.isInteger },
  link: { target: isText },
  folder: {},
}

/** @param of what has the fields, with a dot; '' for the list itself */
function checkFields(of: string, value: unknown, fields: Readonly<Record<string, Check>>): void {
  const all = (value ?? {}) as Readonly<Record<string, unknown>>
  const wrong = Object.entries(fields).find(([name, isRight]) => !isRight(all[name]))
  if (wrong !== undefined) throw new Error(`${of}${wrong[0]} is missing, or not of its type`)
}

/** Files are replaced and removed there: a path may not lead out of the root. */
function checkChanges(changes: readonly Change[]): void {
  for (const [index, change] of changes.entries()) {
    const { after, backup, before, path }: Partial<Change> = change ?? {}
    const entry = `changes[${index}]`
    if (!isPlain(path)) {
      const what = 'is no absolute path without "..", "//" and NUL'
      throw new Error(`the path of ${entry}, ${JSON.stringify(path)}, ${what}`)
    }
    if (backup !== undefined && backup !== `${path}${BEFORE}` && backup !== `${path}${PREVIOUS}`) {
      throw new Error(`the backup of ${entry}, ${JSON.stringify(backup)}, is not beside ${path}`)
    }
    checkFields(`${entry}.`, change, CHANGE)
    for (const [name, state] of Object.entries({ before, after })) {
      if (state === null) continue
      const fields = STATES[state?.kind as FileState['kind']] ?? { kind: () => false }
      checkFields(`${entry}.${name}.`, state, fields)
    }
  }
}

function isPlain(path: unknown): path is string {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) return false
  return path !== '/' && !path.endsWith('/') && posix.normalize(path) === path
}

function unusable(path: string, cause: unknown): ResolveError {
  const why = cause instanceof Error ? cause.message : String(cause)
  // That of a run which did not end is the only place that says what the run has changed.
  const how = path === INSTALLED ? ': move it away, and image-resolver install makes it again' : ''
  const problem = `${path}, the list of what was installed, cannot be used: ${why}${how}`
  return new ResolveError('CONFIG_INVALID', problem, { cause })
}

/**
 * The changes of an installation and those of a run that has ended well, together. What was there first is what is put
 * back. A file that others have changed between the two stays one that was changed since: it is not put back, and the
 * first copy is kept.
 */
export function withRun(changes: readonly Change[], run: readonly Change[]): readonly Change[] {
  const all = new Map(changes.map((change) => [change.path, change]))
  for (const change of run) {
    const known = all.get(change.path)
    const before = change.before ?? undefined
    all.delete(change.path)
    if (known === undefined || isSame(before, known.before ?? undefined))
      all.set(change.path, change)
    else {
      const isForeign = before?.kind === 'file' && !isSame(before, known.after ?? undefined)
      all.set(change.path, isForeign ? known : { ...known, after: change.after })
    }
  }
  // What is as it was before the installation has nothing to be put back.
  return [...all.values()].filter(
    ({ after, before }) => !isSame(before ?? undefined, after ?? undefined),
  )
}

/** What the lists of a node say: of an installation, and of a run that did not end. */
export function aboutIn(installed: Installed | undefined, open: Changes | undefined): About {
  const { kubeletAt = null, kubeletBackAt = null, kubeletLastAt = null } = open ?? installed ?? {}
  return {
    kubeletAt,
    kubeletLastAt,
    kubeletBackAt,
    sockets: [...new Set([...(installed?.sockets ?? []), ...(open?.sockets ?? [])])],
    runtime: open?.runtime ?? installed?.runtime ?? null,
  }
}

export function kubeletIsChanged(about: About): About {
  const now = new Date().toISOString()
  const first = about.kubeletBackAt === null ? (about.kubeletAt ?? now) : now
  return { ...about, kubeletAt: first, kubeletLastAt: notBeforeNow(), kubeletBackAt: null }
}

export function kubeletIsBack(about: About): About {
  if (about.kubeletAt === null || about.kubeletBackAt !== null) return about
  return { ...about, kubeletBackAt: notBeforeNow() }
}

/** The clock tells the millisecond that has begun: a kubelet that was started earlier in it would read as one of after that. */
function notBeforeNow(): string {
  return new Date(Date.now() + 1).toISOString()
}

/** In which parts are put back: nothing is left that leads to what is gone. */
const ORDER: readonly Part[] = ['kubelet', 'unit', 'hosts', 'config', 'program', 'state']

/** Changes as they are to be put back. */
export function inOrder(changes: readonly Change[]): readonly Change[] {
  return ORDER.flatMap((part) => changes.filter((change) => change.part === part).reverse())
}

/** Where a file as it is now is kept. @param known its change of the installation, which has a copy already */
export function backupFor(path: string, known: Change | undefined): string {
  return `${path}${known?.backup?.endsWith(BEFORE) === true ? PREVIOUS : BEFORE}`
}

/** @throws ResolveError DENIED for what is beside a file, with a name that is about to be used, and is of others */
export function checkBeside(root: Root, path: string, known: Change | undefined): void {
  for (const end of [BEFORE, PREVIOUS, NEW]) {
    const name = `${path}${end}`
    const isOwn = known !== undefined && (end === NEW || known.backup === name)
    if (isOwn || lstatSync(root.inside(name), { throwIfNoEntry: false }) === undefined) continue
    const what = 'is there already, and not of this installation'
    throw new ResolveError('DENIED', `${name} ${what}: move it away`)
  }
}

/** Removes what the service itself has written, but for a list. */
export function clearState(root: Root, list: string): void {
  for (const path of root.list(STATE, '')) {
    if (path !== list) removeAll(root.outside(path, false))
  }
}

/**
 * Writes a list, in a folder that root alone may read.
 *
 * @throws ResolveError DENIED
 */
export function writeList(root: Root, path: string, list: Changes): void {
  if (!root.exists(STATE)) makeFolder(root.outside(STATE), 0o700)
  const bytes = Buffer.from(`${JSON.stringify(list, null, 2)}\n`)
  writeWhole(root.outside(path), bytes, { mode: 0o600, ...ownUser() })
}

/** The user of new files. */
export function ownUser(): { readonly uid: number; readonly gid: number } {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
}
