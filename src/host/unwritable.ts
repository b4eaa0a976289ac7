import { codeOf, ResolveError } from '../errors.ts'

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'no right to it; try it as root',
  EPERM: 'no right to it; try it as root',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full',
  ENOENT: 'the folder above it is not there',
  ENOTDIR: 'a part of its path is no folder',
}

/** @returns ResolveError DENIED with the reason and what mends it */
export function unwritable(path: string, cause: unknown): ResolveError {
  const code = codeOf(cause)
  const why = WHY[code ?? ''] ?? `it fails with ${code ?? 'no code'}`
  return new ResolveError('DENIED', `${path} cannot be written: ${why}`, { cause })
}
