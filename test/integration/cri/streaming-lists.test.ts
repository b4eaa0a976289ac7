import assert from 'node:assert/strict'
import { test } from 'node:test'
import { versionsOn } from '../../../src/cri/version-bridge.ts'
import { respond } from '../../support/fake-runtime.ts'
import { answerOf, openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { startRelay } from '../../support/relay.ts'

const STREAMS = [
  '/runtime.v1.ImageService/StreamImages',
  '/runtime.v1.RuntimeService/StreamContainers',
  '/runtime.v1.RuntimeService/StreamPodSandboxes',
] as const
const VERSION = '/runtime.v1.RuntimeService/Version'
const BATCHES = 400
const BATCH_BYTES = 100_000
/** What may be under way between runtime and client: windows and buffers of three streams. */
const MOST_HELD_BYTES = 8 * 1024 * 1024

/** Each one tells its number, so that one lost, doubled or out of order is seen. */
function batch(number: number): Buffer {
  const bytes = Buffer.alloc(BATCH_BYTES, number % 251)
  bytes.writeUInt32BE(number)
  return bytes
}

for (const stream of STREAMS) {
  test(`${stream} passes 40 MB whole, in order, with its trailers`, async (t) => {
    const { runtime, path } = await startRelay(t, { versions: versionsOn })
    runtime.handle(VERSION, (call) => respond(call.stream, [Buffer.alloc(0)]))
    runtime.handle(stream, (call) => {
      const batches = Array.from({ length: BATCHES }, (_, number) => batch(number))
      respond(call.stream, batches, { trailers: { 'x-total': '40' } })
    })

    const { code, messages, trailers } = await openGrpcClient(t, path).call(stream, [
      Buffer.alloc(0),
    ])

    assert.deepEqual([code, trailers['x-total'], messages.length], [0, '40', BATCHES])
    assert.ok(messages.every((message, number) => message.equals(batch(number))))
  })
}

test('a runtime that lists faster than its client reads is held back, and nothing is lost', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  let sentBytes = 0
  let stalled = () => {}
  const isStalled = new Promise<void>((resolve) => {
    stalled = resolve
  })
  runtime.handle(VERSION, (call) => respond(call.stream, [Buffer.alloc(0)]))
  runtime.handle(STREAMS[0], ({ stream }) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc' },
      { waitForTrailers: true },
    )
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    let number = 0
    const send = (): void => {
      while (number < BATCHES) {
        const frame = framed(batch(number))
        number += 1
        sentBytes += frame.length
        if (stream.write(frame)) continue
        const limit = setTimeout(stalled, 300)
        stream.once('drain', () => {
          clearTimeout(limit)
          send()
        })
        return
      }
      stream.end()
    }
    send()
  })
  const call = openGrpcClient(t, path).open(STREAMS[0])
  call.end(framed(Buffer.alloc(0)))

  await isStalled
  const heldBytes = sentBytes
  const { code, messages } = await answerOf(call)

  assert.equal(code, 0)
  assert.ok(heldBytes < MOST_HELD_BYTES, `${heldBytes} bytes`)
  assert.equal(messages.length, BATCHES)
  assert.ok(messages.every((message, number) => message.equals(batch(number))))
})

test('a runtime without streaming lists says Unimplemented, and so do we', async (t) => {
  const { path } = await startRelay(t, { versions: versionsOn })
  const client = openGrpcClient(t, path)

  for (const stream of STREAMS) {
    const answer = await client.call(stream, [Buffer.alloc(0)])

    assert.deepEqual([answer.code, answer.trailersOnly], [12, true])
  }
})
