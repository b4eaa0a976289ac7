import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js'
import { deadlineIn, unless } from './call.ts'
import type { RuntimeChannel } from './channel.ts'
import { containerdMethod, KUBERNETES_NAMESPACE } from './protos.ts'
import { status } from './status.ts'

/** It syncs a file that may be a layer. */
const LIMIT_MS = 30_000

/** ContentStore.discard, the only call with a stream in both directions. */
export async function discard(channel: RuntimeChannel, ref: string): Promise<boolean> {
  const { path, requestSerialize, responseDeserialize } = containerdMethod<object>(
    'Content',
    'Write',
  )
  const metadata = new Metadata()
  metadata.set(...KUBERNETES_NAMESPACE)
  const client = new Client(`unix:${channel.path}`, credentials.createInsecure())
  try {
    const writer = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadata,
      { deadline: deadlineIn(LIMIT_MS) },
    )
    const opening = opened(writer, { action: 'STAT', ref }).then(() => false)
    const isLocked = await unless(status.UNAVAILABLE, true, opening)
    if (isLocked) return false
    try {
      const options = { metadata: KUBERNETES_NAMESPACE, deadline: deadlineIn(LIMIT_MS) }
      const aborted = channel.call(containerdMethod<object>('Content', 'Abort'), { ref }, options)
      await unless(status.NOT_FOUND, undefined, aborted)
    } finally {
      await ended(writer)
    }
    return true
  } finally {
    client.close()
  }
}

/** Resolves with the server's first answer, by which the ref is locked for this stream. */
function opened(writer: ClientDuplexStream<object, object>, first: object): Promise<void> {
  return new Promise((resolve, reject) => {
    writer.once('data', () => resolve())
    writer.on('error', reject)
    writer.write(first)
  })
}

/** The lock is gone when the server has ended the stream. What it sends last changes nothing any more. */
function ended(writer: ClientDuplexStream<object, object>): Promise<void> {
  return new Promise((resolve) => {
    writer.once('status', () => resolve())
    writer.resume()
    writer.end()
  })
}
