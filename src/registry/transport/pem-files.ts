import { type FileHandle, open, stat } from 'node:fs/promises'
import { hashOf } from '../../reference/digest.ts'
import { BoundedMap } from '../bounded-map.ts'

/** A file as it was when it was last looked at. */
export interface PemFile {
  readonly text: string
  /** Differs when the text does. */
  readonly version: string
}

interface Kept extends PemFile {
  readonly stamp: string
}

/** A bundle of all the authorities that there are has a quarter of that. */
const MAX_BYTES = 1024 * 1024
const MAX_FILES = 1_000

/** Files that are read at their use, and again when they changed: certificates are renewed in place. */
export class PemFiles {
  readonly #kept = new BoundedMap<Kept>(MAX_FILES)

  /** @throws Error of the file system; Error for more than 1 MiB, and for what is no regular file */
  async read(path: string): Promise<PemFile> {
    // Kubernetes renews by moving a symbolic link: then the inode is another one.
    const found = await stat(path)
    // To open a pipe is to wait for who writes.
    if (!found.isFile()) throw new Error('it is no file')
    const { mtimeMs, ctimeMs, size, ino } = found
    const stamp = [mtimeMs, ctimeMs, size, ino].join(' ')
    const kept = this.#kept.get(path)
    if (kept?.stamp === stamp) return kept
    const bytes = await readBounded(path)
    const read = { text: bytes.toString(), version: hashOf('sha256', bytes), stamp }
    this.#kept.set(path, read)
    return read
  }
}

/** Read through one handle up to the limit: what stat said may have changed. */
async function readBounded(path: string): Promise<Buffer> {
  const file: FileHandle = await open(path, 'r')
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0)
    if (bytesRead > MAX_BYTES) throw new Error('it is larger than 1 MiB')
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
