import { closeSync, readFileSync } from 'node:fs'
import { ResolveError } from '../errors.ts'
import { openTrustedFileSync } from '../host/trusted-file.ts'
import { type FileState, isSame, writeWhole } from './files.ts'
import type { Root } from './root.ts'

/** The folder of the service's state, where the list of changes is. */
export const STATE = '/var/lib/image-resolver'
export const INSTALLED = `${STATE}/install.json`
/** What a run has changed that has not ended yet. */
export const PENDING = `${STATE}/install.pending.json`
export const FORMAT = 1

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

/** What a run has changed that has not ended, as install.pending.json has it. */
export interface Changes {
  readonly format: typeof FORMAT
  /** Of the run that wrote it. */
  readonly run: string
  /** When kubelet's files were changed first (RFC 3339); null: they were not. */
  readonly kubeletAt: string | null
  /** When they were put back. */
  readonly kubeletBackAt: string | null
  readonly changes: readonly Change[]
}

/** An installation, as install.json has it. */
export interface Installed extends Changes {
  readonly version: string
  /** RFC 3339. */
  readonly at: string
  /** The service's CRI socket. */
  readonly socket: string
  /** The runtime's, which kubelet is led back to; null: not known. */
  readonly runtime: string | null
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
      return list
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw unusable(path, cause)
  }
}

function unusable(path: string, cause: unknown): ResolveError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const problem = `${path}, the list of what was installed, cannot be used: ${why}`
  return new ResolveError('CONFIG_INVALID', problem, { cause })
}

/** The changes of an installation and those of a run that has ended well, together. */
export function withRun(changes: readonly Change[], run: readonly Change[]): readonly Change[] {
  const all = new Map(changes.map((change) => [change.path, change]))
  for (const change of run) {
    const known = all.get(change.path)
    const continues = known !== undefined && isSame(change.before ?? undefined, known.after)
    all.delete(change.path)
    all.set(change.path, continues ? { ...known, after: change.after } : change)
  }
  return [...all.values()]
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
