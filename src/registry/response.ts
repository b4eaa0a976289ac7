import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'

const MAX_DISCARDED_BYTES = 64 * 1024

/** An answer whose body has to be read or discarded: its connection is taken until then. */
export interface RegistryResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
  /** To be called when the body is done with, well or not; the first call counts. */
  ended(): void
}

/** The whole body, or undefined when it is longer than `limitBytes`; then the rest is not read. */
export async function readBody(
  reply: RegistryResponse,
  limitBytes: number,
): Promise<Buffer | undefined> {
  try {
    return await read(reply, limitBytes)
  } finally {
    reply.ended()
  }
}

/** Frees the connection: reads a short rest, closes on a long one. */
export async function discard(reply: RegistryResponse): Promise<void> {
  try {
    let size = 0
    for await (const chunk of reply.body) {
      size += (chunk as Buffer).length
      if (size > MAX_DISCARDED_BYTES) break
    }
  } catch {
    // The answer's head has been read already; what breaks in the rest is of no interest.
  }
  reply.ended()
}

async function read(
  { body, headers }: RegistryResponse,
  limitBytes: number,
): Promise<Buffer | undefined> {
  if (Number(headers['content-length'] ?? 0) > limitBytes) {
    // Destroying an unread body is reported as an error event, which nobody else listens for.
    body.on('error', () => {}).destroy()
    return undefined
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    const bytes: Buffer = chunk
    size += bytes.length
    if (size > limitBytes) return undefined
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}
