import { open, stat } from 'node:fs/promises'
import type { SharedStoreConfig } from '../config/config.ts'

const MIN_KEY_BYTES = 16
const MAX_SECRET_BYTES = 64 * 1024

/**
 * The key that entries are signed with.
 *
 * @returns empty where none is configured
 * @throws Error that says what is wrong with the file
 */
export async function readKey({ keyFile }: SharedStoreConfig): Promise<Buffer> {
  if (keyFile === undefined) return Buffer.alloc(0)
  const key = Buffer.from((await readSecret(keyFile)) ?? '')
  if (key.length >= MIN_KEY_BYTES) return key
  const how = 'write one with openssl rand -hex 32'
  throw new Error(`${keyFile} has less than ${MIN_KEY_BYTES} bytes: ${how}`)
}

/**
 * Reads a file that the configuration of the store names, without white space around it.
 *
 * @throws what the file system says; Error for one that is too large
 */
export async function readSecret(path: string): Promise<string>
export async function readSecret(path: string | undefined): Promise<string | undefined>
export async function readSecret(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  // Reading a pipe would wait for its writer, perhaps for ever.
  if (!(await stat(path)).isFile()) throw new Error(`${path} is no file`)
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(MAX_SECRET_BYTES + 1) })
    if (bytesRead > MAX_SECRET_BYTES) throw new Error(`${path} is larger than 64 KiB`)
    return buffer.toString('utf8', 0, bytesRead).trim()
  } finally {
    await file.close()
  }
}
