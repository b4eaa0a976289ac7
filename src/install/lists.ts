import { closeSync, lstatSync, readFileSync, rmSync } from 'node:fs'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import { openTrustedFileSync } from '../host/trusted-file.ts'
import { type FileState, isSame, NEW, writeWhole } from './files.ts'
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
  readonly after: FileState
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

/** What a run has changed that has not ended, as install.pending.json has it; lists of earlier versions say less. */
export interface Changes extends Partial<About> {
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
      if (list.format !== FORMAT) throw new Error(`its format is ${list.format}, not ${FORMAT}`)
      checkPaths(list.changes)
      return list
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw unusable(path, cause)
  }
}

/** Files are replaced and removed there: a path may not lead out of the root. */
function checkPaths(changes: readonly Change[]): void {
  if (!Array.isArray(changes)) throw new Error('its changes are no list')
  for (const [index, change] of changes.entries()) {
    const { backup, path }: Partial<Change> = change ?? {}
    const entry = `changes[${index}]`
    if (!isPlain(path)) {
      const what = 'is no absolute path without "..", "//" and NUL'
      throw new Error(`the path of ${entry}, ${JSON.stringify(path)}, ${what}`)
    }
    if (backup !== undefined && backup !== `${path}${BEFORE}` && backup !== `${path}${PREVIOUS}`) {
      throw new Error(`the backup of ${entry}, ${JSON.stringify(backup)}, is not beside ${path}`)
    }
  }
}

function isPlain(path: unknown): path is string {
  if (typeof path !== 'string' || !path.startsWith('/') || path.includes('\0')) return false
  return path !== '/' && !path.endsWith('/') && posix.normalize(path) === path
}

function unusable(path: string, cause: unknown): ResolveError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const problem = `${path}, the list of what was installed, cannot be used: ${why}`
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
      const isForeign = before?.kind === 'file' && !isSame(before, known.after)
      all.set(change.path, isForeign ? known : { ...known, after: change.after })
    }
  }
  return [...all.values()]
}

/** What the lists of a node say: of an installation, and of a run that did not end. */
export function aboutIn(installed: Installed | undefined, open: Changes | undefined): About {
  const last: Partial<About> = open ?? installed ?? {}
  const { kubeletAt = null, kubeletBackAt = null, kubeletLastAt = kubeletAt } = last
  const { runtime, socket, sockets = socket === undefined ? [] : [socket] } = installed ?? {}
  return {
    kubeletAt,
    kubeletLastAt,
    kubeletBackAt,
    sockets: [...new Set([...sockets, ...(open?.sockets ?? [])])],
    runtime: open?.runtime ?? runtime ?? null,
  }
}

/** In which parts are put back: nothing is left that leads to what is gone. */
const ORDER: readonly Part[] = ['kubelet', 'unit', 'hosts', 'config', 'program', 'state']

/** Changes as they are to be put back. */
export function inOrder(changes: readonly Change[]): readonly Change[] {
  return ORDER.flatMap((part) => changes.filter((change) => change.part === part).reverse())
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
    if (path !== list) rmSync(root.outside(path, false), { recursive: true, force: true })
  }
}

/** @throws ResolveError DENIED */
export function writeList(root: Root, path: string, list: Changes): void {
  const bytes = Buffer.from(`${JSON.stringify(list, null, 2)}\n`)
  writeWhole(root.outside(path), bytes, { mode: 0o600, ...ownUser() })
}

/** The user of new files. */
export function ownUser(): { readonly uid: number; readonly gid: number } {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
}
