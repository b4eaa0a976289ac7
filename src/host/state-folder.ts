import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../telemetry/log.ts'

interface StateFolderOptions {
  readonly folder: string
  readonly logger: Pick<Logger, 'warn'>
  /** Writes what shows whether the folder can be written. Default: a file that is gone at once. */
  readonly write?: (folder: string) => Promise<void>
}

interface Problem {
  readonly reason: string
  readonly mend: string
}

/** What an empty disk block takes, so that a full disk shows. */
const PROBE_BYTES = 4096

const IN_THE_WAY: Problem = {
  reason: 'something that is no folder is in its way',
  mend: 'move that away',
}
const FULL: Problem = { reason: 'the disk is full', mend: 'make room' }
const NO_RIGHT: Problem = {
  reason: 'this user has no right to write there',
  mend: 'give the folder to the user of the service (StateDirectory= in its unit)',
}

/** By the code of the file system's error. */
const PROBLEMS: Readonly<Record<string, Problem>> = {
  EROFS: {
    reason: 'its file system is read-only',
    mend: 'mount it writable (StateDirectory= or ReadWritePaths= in the unit)',
  },
  EACCES: NO_RIGHT,
  EPERM: NO_RIGHT,
  EEXIST: IN_THE_WAY,
  // Folders that are missing are made, so it is not that.
  ENOENT: { reason: 'a link in its path leads nowhere', mend: 'mount or make what it leads to' },
  ENOTDIR: IN_THE_WAY,
  ENOSPC: FULL,
  EDQUOT: FULL,
}

/** What fails without the folder. The writers themselves only log that they failed. */
const FOLLOWS = [
  'what the cache learns is forgotten at the next restart',
  'with CRI-O and cri-dockerd, images that are pulled now lose their names at the next restart: kubelet pulls them again, and imagePullPolicy Never does not find them',
  'with containerd, a crash in the middle of a pull may leave the name of a mirror beside that of the image',
]

/**
 * Warns once, at the start, of a state folder that cannot be written: without that nothing would be
 * logged of it before the first pull, or ever. Nothing depends on it: every write is tried again,
 * so that a mended folder is used without a restart. Makes the folder. Never rejects.
 */
export async function checkStateFolder(options: StateFolderOptions): Promise<void> {
  const { folder, logger, write = writeProbe } = options
  try {
    await write(folder)
  } catch (thrown) {
    const { code = '', message } = thrown as NodeJS.ErrnoException
    const { reason, mend } = PROBLEMS[code] ?? { reason: message, mend: 'mend that' }
    const how = `${mend}, which takes no restart, or set image: to another folder`
    logger.warn(
      { folder, code, reason, follows: FOLLOWS, mend: how },
      'the state folder cannot be written; the service goes on without',
    )
  }
}

async function writeProbe(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const probe = join(folder, `probe-${randomBytes(6).toString('hex')}.tmp`)
  try {
    await writeFile(probe, Buffer.alloc(PROBE_BYTES), { flag: 'wx', mode: 0o600 })
  } finally {
    await rm(probe, { force: true })
  }
}
