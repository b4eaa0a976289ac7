import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { codeOf, ResolveError } from '../errors.ts'
import { unwritable } from '../host/unwritable.ts'

/** What is at a path. */
export type FileState =
  | {
      readonly kind: 'file'
      /** In hexadecimal. */
      readonly sha256: string
      /** The permission bits. */
      readonly mode: number
      readonly uid: number
      readonly gid: number
    }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'folder' }

interface Access {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** Of what is written beside its place, to be moved there in one step. */
export const NEW = '.new-image-resolver'

/** @returns undefined where there is nothing */
export function lookAt(path: string): FileState | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return undefined
  if (stats.isSymbolicLink()) return { kind: 'link', target: readlinkSync(path) }
  if (stats.isDirectory()) return { kind: 'folder' }
  if (!stats.isFile()) throw new ResolveError('DENIED', `${path} is no file, folder or link`)
  const { uid, gid } = stats
  return fileState(readFileSync(path), { mode: stats.mode & 0o7777, uid, gid })
}

export function fileState(bytes: Buffer, access: Access): FileState {
  return { kind: 'file', sha256: createHash('sha256').update(bytes).digest('hex'), ...access }
}

export function isSame(one: FileState | undefined, other: FileState | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof FileState>
  return [...keys].every((key) => one[key] === other[key])
}

/** Writes a file in one step: a reader sees the old one or the new one, also after a crash. */
export function writeWhole(path: string, bytes: Buffer, access: Access): void {
  inOneStep(path, (next) => {
    const file = openSync(next, 'wx', 0o600)
    try {
      writeFileSync(file, bytes)
      fchownSync(file, access.uid, access.gid)
      fchmodSync(file, access.mode)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  })
}

/** Which users may read and write a file. */
export function accessOf(path: string): Access {
  const { gid, mode, uid } = statSync(path)
  return { mode: mode & 0o7777, uid, gid }
}

/** Copies a file with its mode, owner and times. */
export function copyWhole(from: string, to: string): void {
  const { atime, mtime } = statSync(from)
  writeWhole(to, readFileSync(from), accessOf(from))
  const file = openSync(to, 'r+')
  try {
    futimesSync(file, atime, mtime)
  } finally {
    closeSync(file)
  }
}

export function makeLink(path: string, target: string): void {
  inOneStep(path, (next) => symlinkSync(target, next))
}

/** Copies parts of a folder into a new one, in one step; files get the modes 644 and 755, and links are followed. */
export function copyTree(path: string, files: readonly (readonly [name: string, from: string])[]) {
  inOneStep(path, (next) => {
    for (const [name, from] of files) {
      const to = join(next, name)
      mkdirSync(dirname(to), { recursive: true, mode: 0o755 })
      const isProgram = (statSync(from).mode & 0o100) !== 0
      const file = openSync(to, 'wx', 0o600)
      try {
        writeFileSync(file, readFileSync(from))
        fchmodSync(file, isProgram ? 0o755 : 0o644)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
    }
    evenFolders(next)
  })
}

/** The umask does not count. */
function evenFolders(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) evenFolders(join(folder, entry.name))
  }
  syncFolder(folder)
}

export function makeFolder(path: string, mode: number): void {
  changing(path, () => {
    mkdirSync(path)
    chmodSync(path, mode)
    syncFolder(dirname(path))
  })
}

export function moveOver(from: string, to: string): void {
  changing(to, () => {
    renameSync(from, to)
    syncFolder(dirname(to))
  })
}

/** Removes a file or link that is there, and what an interrupted run has left beside it. */
export function remove(path: string): void {
  removeNew(path)
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return
  changing(path, () => {
    unlinkSync(path)
    syncFolder(dirname(path))
  })
}

/** Removes a folder with everything in it: it is there whole, or not at all. */
export function removeTree(path: string): void {
  removeNew(path)
  changing(path, () => renameSync(path, `${path}${NEW}`))
  removeNew(path)
}

/** @returns false for one that others have put something into */
export function removeFolder(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (thrown) {
    if (/^(?:EACCES|EPERM|EROFS)$/.test(codeOf(thrown) ?? '')) throw unwritable(path, thrown)
    return false
  }
}

export function removeNew(path: string): void {
  removeAll(`${path}${NEW}`)
}

/** Removes whatever is there, with everything in it. */
export function removeAll(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true })
  } catch (thrown) {
    const { code, path: at = path } = thrown as NodeJS.ErrnoException
    if (code !== 'ENOTDIR') throw unwritable(at, thrown)
    // Of a file that may not be removed it says that it is no folder.
    changing(at, () => unlinkSync(at))
    removeAll(path)
  }
}

function inOneStep(path: string, make: (next: string) => void): void {
  const next = `${path}${NEW}`
  try {
    removeNew(path)
    changing(path, () => make(next))
    moveOver(next, path)
  } catch (thrown) {
    removeNew(path)
    throw thrown
  }
}

function changing(path: string, change: () => void): void {
  try {
    change()
  } catch (thrown) {
    throw unwritable(path, thrown)
  }
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
