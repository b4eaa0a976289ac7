import { codeOf, ResolveError } from '../errors.ts'

const WHY: Readonly<Record<string, string>> = {
  EACCES: 'no right to it; try it as root',
  EPERM: 'no right to it; try it as root',
  EROFS:
    'the file system is read-only: findmnt -T names it, and mount -o remount,rw makes it writable',
  EBUSY: 'something is mounted there: findmnt -T names it, and umount takes it away',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full',
  ENOENT: 'the folder above it is not there',
  ENOTDIR: 'a part of its path is no folder',
}

/** root has every right but that. */
const IMMUTABLE =
  'it is immutable, or the folder that it is in: lsattr -d shows which, and chattr -i ends that'

/** @returns ResolveError DENIED with the reason and what mends it */
export function unwritable(path: string, cause: unknown): ResolveError {
  const code = codeOf(cause)
  const isImmutable = code === 'EPERM' && process.geteuid?.() === 0
  const why = isImmutable ? IMMUTABLE : (WHY[code ?? ''] ?? `it fails with ${code ?? 'no code'}`)
  return new ResolveError('DENIED', `${path} cannot be written: ${why}`, { cause })
}
