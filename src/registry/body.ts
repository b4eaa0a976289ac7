import type { Reply } from './reply.ts'

/** The whole body, or undefined when it is longer than `limitBytes`; then the rest is not read. */
export async function readBody(reply: Reply, limitBytes: number): Promise<Buffer | undefined> {
  const { body } = reply
  if (Number(reply.headers['content-length'] ?? 0) > limitBytes) {
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
