import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { FRAME_FLAG, frame } from '../../src/http2/frames.ts'
import { type BesiegedNode, startBesiegedNode } from '../support/besieged-node.ts'
import { criClient } from '../support/cri-client.ts'
import { startDaemon } from '../support/daemon.ts'
import { framed } from '../support/grpc-frames.ts'
import {
  call,
  callBlock,
  chunked,
  conversations,
  FRAME,
  number32,
  OPENING,
  PATHS,
  SETTINGS,
} from '../support/hostile-frames.ts'
import { indexed, literal, plain } from '../support/hpack-fields.ts'
import { startRecordingRuntime } from '../support/recording-runtime.ts'
import { temporaryFolder } from '../support/stack.ts'

const NOTHING = Buffer.alloc(0)
const STALLED_MS = 1_000
const HEARING_MS = 100
/** Clients that talk to the service at the same time, most of which are waited for. */
const AT_ONCE = { minLength: 4, maxLength: 4 }
const [STATUS] = PATHS
const VERSION = '/runtime.v1.RuntimeService/Version'
const END_HEADERS = FRAME_FLAG.endHeaders
const WHOLE = FRAME_FLAG.endHeaders | FRAME_FLAG.endStream

/** Says all that at the socket for as long as somebody listens, hears the answer, and hangs up. */
async function say(path: string, chunks: readonly Buffer[]): Promise<void> {
  const socket = connect(path)
  socket.on('error', () => {})
  socket.resume()
  const closed = once(socket, 'close').catch(() => {})
  for (const chunk of chunks) {
    if (socket.destroyed) break
    if (!socket.write(chunk)) await first(STALLED_MS, closed, once(socket, 'drain'))
    if (socket.writableNeedDrain) break
  }
  socket.end()
  await first(HEARING_MS, closed)
  socket.destroy()
}

async function first(limitMs: number, ...events: readonly Promise<unknown>[]): Promise<void> {
  const limit = new AbortController()
  const late = sleep(limitMs, undefined, limit)
  await Promise.race([late, ...events].map((each) => each.catch(() => {})))
  limit.abort()
}

/**
 * CVE-2026-27135: two wrong frames in one breath end any process with an nghttp2 before 1.68.1, as it
 * is in Node 20, by an assertion in C that no JavaScript can prevent.
 */
const OLD_ENGINE_ABORT =
  /nghttp2_session_mem_recv2: Assertion `iframe->state == NGHTTP2_IB_IGN_ALL'/

test('no bytes at the socket, whatever they are, end the service or have an image removed', async (t) => {
  const path = `${temporaryFolder(t)}/runtime.sock`
  const runtime = await startRecordingRuntime(t, path, { table: true })
  const daemon = await startDaemon(t, { cri: path })
  let aborts = 0

  await fc.assert(
    fc.asyncProperty(fc.array(conversations, AT_ONCE), async (clients) => {
      await Promise.all(clients.map((chunks) => say(daemon.socketPath, chunks)))
      if (daemon.program().running()) return
      assert.match(daemon.program().output(), OLD_ENGINE_ABORT)
      aborts += 1
      await daemon.start()
    }),
    { numRuns: 100, endOnFailure: true, includeErrorInReport: true },
  )

  for (const id of runtime.removed) assert.ok(runtime.given.get(id)?.trim(), id)
  assert.equal(
    (await criClient(t, daemon.socketPath).raw(VERSION, Buffer.alloc(0))).response.length,
    0,
  )
  t.diagnostic(`${aborts} times the HTTP/2 engine aborted the process`)
})

let node: BesiegedNode
const ends: (() => unknown)[] = []

before(async () => {
  node = await startBesiegedNode({ after: (end) => ends.unshift(end) })
})
after(async () => {
  for (const end of ends) await end()
})

const streams = (count: number): number[] => Array.from({ length: count }, (_, n) => 2 * n + 1)
const many = (count: number, bytes: Buffer): Buffer[] =>
  chunked(Buffer.concat(Array.from({ length: count }, () => bytes)), 65_536)
const headers = (streamId: number, flags: number, block: Buffer): Buffer =>
  frame(FRAME.headers, flags, streamId, block)
const openCall = headers(1, END_HEADERS, callBlock(STATUS))
const reset = (streamId: number): Buffer => frame(FRAME.reset, 0, streamId, number32(8))
const field = (bytes: number): Buffer =>
  literal('without', plain('x-long'), plain('x'.repeat(bytes)))
const giant = literal('incremental', plain('x-giant'), plain('x'.repeat(4_000)))

const FLOODS: Readonly<Record<string, () => readonly Buffer[]>> = {
  'calls that are reset at once, over and over': () => [
    OPENING,
    ...streams(5_000).map((id) =>
      Buffer.concat([headers(id, END_HEADERS, callBlock(STATUS)), reset(id)]),
    ),
  ],
  'CONTINUATION without end': () => [
    OPENING,
    headers(1, 0, callBlock(STATUS)),
    ...many(4_000, frame(FRAME.continuation, 0, 1, field(8_000))),
  ],
  'CONTINUATION without end and without anything in it': () => [
    OPENING,
    headers(1, 0, callBlock(STATUS)),
    ...many(100_000, frame(FRAME.continuation, 0, 1, NOTHING)),
  ],
  'a path for an authority, and CONTINUATION without end': () => [
    OPENING,
    headers(1, 0, Buffer.concat([indexed(3), indexed(6), literal('without', 1, plain('/run/x'))])),
    ...many(4_000, frame(FRAME.continuation, 0, 1, field(8_000))),
  ],
  'header lists that unfold to megabytes': () => [
    OPENING,
    ...streams(60).map((id) =>
      headers(
        id,
        WHOLE,
        callBlock(STATUS, giant, ...Array.from({ length: 2_000 }, () => indexed(62))),
      ),
    ),
  ],
  SETTINGS: () => [OPENING, ...many(60_000, SETTINGS)],
  PINGs: () => [OPENING, ...many(60_000, frame(FRAME.ping, 0, 0, Buffer.alloc(8)))],
  PRIORITYs: () => [
    OPENING,
    ...many(60_000, frame(FRAME.priority, 0, 1, Buffer.of(0, 0, 0, 3, 1))),
  ],
  'empty DATA': () => [OPENING, openCall, ...many(100_000, frame(FRAME.data, 0, 1, NOTHING))],
  'windows by one byte': () => [
    OPENING,
    ...many(100_000, frame(FRAME.windowUpdate, 0, 0, number32(1))),
  ],
  'GOAWAYs with calls between them': () => [
    OPENING,
    ...streams(2_000).map((id) =>
      Buffer.concat([
        frame(FRAME.goaway, 0, 0, Buffer.concat([number32(0), number32(0), Buffer.alloc(500)])),
        call(id, STATUS, framed(NOTHING)),
      ]),
    ),
  ],
  'a frame of 16 MiB': () => {
    const bytes = frame(FRAME.data, 0, 1, Buffer.alloc(2 ** 24 - 1))
    return [OPENING, openCall, ...chunked(bytes, 65_536)]
  },
  'messages that say they are 4 GiB long, on many calls': () => {
    const lie = Buffer.concat([Buffer.of(0), number32(2 ** 32 - 1), Buffer.alloc(1_000)])
    return [
      OPENING,
      ...streams(50).flatMap((id) =>
        PATHS.slice(0, 3).map((path, n) => call(id * 6 + 2 * n + 1, path, lie)),
      ),
    ]
  },
  '64 MiB that are no HTTP/2': () => many(64, Buffer.alloc(2 ** 20, 'GET / HTTP/1.1\r\n')),
  'a preface, and then nothing that makes sense': () => [
    OPENING,
    ...many(64, Buffer.alloc(2 ** 20, 0xff)),
  ],
}

for (const [name, make] of Object.entries(FLOODS)) {
  test(`a client that floods the socket with ${name} is its own affair`, async () => {
    node.runtime.forget()

    await Promise.all([1, 2, 3].map(() => say(node.daemon.socketPath, make())))

    assert.deepEqual(node.runtime.removed, [])
    await node.unharmed()
  })
}

test('after all that the service holds nothing of those clients', async () => {
  await node.atRest()
})
