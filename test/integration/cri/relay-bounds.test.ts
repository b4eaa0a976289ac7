import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerHttp2Stream } from 'node:http2'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { bodyEdit } from '../../../src/cri/rewrite/body-edit.ts'
import { versionsOn } from '../../../src/cri/version-bridge.ts'
import { ERROR_CODE, FRAME_FLAG, FRAME_TYPE, frame } from '../../../src/http2/frames.ts'
import { LIMITS } from '../../../src/http2/limits.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { hanging, respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { call, callBlock, OPENING } from '../../support/hostile-frames.ts'
import { literal, plain } from '../../support/hpack-fields.ts'
import { startRawServer } from '../../support/listen.ts'
import { openRawHttp2Client, type RawHttp2Client } from '../../support/raw-http2-client.ts'
import { startRelay } from '../../support/relay.ts'
import { temporaryFolder } from '../../support/stack.ts'

const LIST = '/runtime.v1.ImageService/ListImages'
const STATUS = '/runtime.v1.ImageService/ImageStatus'
const PULL = '/runtime.v1.ImageService/PullImage'
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents'
const MIB = 1024 * 1024
const FRAME_BYTES = 16_384
const idOf = (n: number): number => 2 * n + 1

/** Takes connections and reads nothing. */
async function silentRuntime(t: TestContext): Promise<string> {
  const path = `${temporaryFolder(t)}/silent.sock`
  await startRawServer(t, (socket) => socket.pause(), { path })
  return path
}

function resets(client: RawHttp2Client): Map<number, number> {
  const all = client.of(FRAME_TYPE.rstStream)
  return new Map(all.map(({ streamId, payload }) => [streamId, payload.readUInt32BE()]))
}

/** A call with 100 KB of headers. */
function longCall(streamId: number): Buffer {
  const block = callBlock(STATUS, literal('without', plain('x'), plain('v'.repeat(100_000))))
  const count = Math.ceil(block.length / FRAME_BYTES)
  const parts = Array.from({ length: count }, (_, n) => {
    const type = n === 0 ? FRAME_TYPE.headers : FRAME_TYPE.continuation
    const part = block.subarray(n * FRAME_BYTES, (n + 1) * FRAME_BYTES)
    return frame(type, n === count - 1 ? FRAME_FLAG.endHeaders : 0, streamId, part)
  })
  return Buffer.concat(parts)
}

for (const [what, options] of Object.entries({
  'that reads nothing': {},
  'that does not say its version': { versions: versionsOn },
})) {
  test(`calls for a runtime ${what} are held up to a bound, and refused above it`, async (t) => {
    const { path } = await startRelay(t, { runtimeSocket: await silentRuntime(t), ...options })
    const client = openRawHttp2Client(t, path)
    client.send(OPENING)
    for (let n = 0; n < 150; n += 1) client.send(longCall(idOf(n)))
    await client.settled()

    const refused = resets(client)
    const most = LIMITS.callBytes / 100_000
    assert.ok(refused.size > 150 - most - 1, String(refused.size))
    assert.deepEqual([...new Set(refused.values())], [ERROR_CODE.refusedStream])

    const other = openRawHttp2Client(t, path)
    other.send(OPENING, longCall(1))
    await other.settled()
    assert.deepEqual(resets(other).size, 0)
  })
}

test('a call that waited for the version and was cancelled goes nowhere, and others go on', async (t) => {
  const { runtime, path } = await startRelay(t, { versions: versionsOn })
  const { arrived, hang } = hanging()
  runtime.handle('/runtime.v1.RuntimeService/Version', hang)
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const client = openRawHttp2Client(t, path)
  client.send(OPENING, call(1, STATUS, Buffer.alloc(5)), call(3, STATUS, Buffer.alloc(5)))
  const question = await arrived
  const cancel = Buffer.alloc(4)
  cancel.writeUInt32BE(ERROR_CODE.cancel)
  client.send(frame(FRAME_TYPE.rstStream, 0, 1, cancel))
  await client.settled()

  respond(question.stream, [Buffer.alloc(0)])
  await client.body(3)

  assert.equal(runtime.calls.filter((each) => each.path === STATUS).length, 1)
})

test('messages that never end, for this process, are held up to a bound, and let go with their client', async (t) => {
  const owned = new Map([[PULL, { answer: async () => OPENING }]])
  const { path } = await startRelay(t, { owned })
  const client = openGrpcClient(t, path)
  const unfinished = Buffer.alloc(5 + 2 * MIB)
  unfinished.writeUInt32BE(3 * MIB, 1)

  const code = await new Promise<number>((resolve) => {
    for (let n = 0; n < 20; n += 1) {
      const stream = client.open(PULL)
      stream.on('error', () => {})
      stream.once('close', () => resolve(stream.rstCode ?? 0))
      stream.write(unfinished)
    }
  })

  assert.equal(code, ERROR_CODE.enhanceYourCalm)
  const answer = await openGrpcClient(t, path).call(PULL, [Buffer.from('whole')])
  assert.equal(answer.code, 0)
})

test('lists that a client does not read stay with the runtime', async (t) => {
  const { runtime, path } = await startRelay(t)
  let written = 0
  runtime.handle(LIST, ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    const fill = (): void => {
      if (stream.destroyed) return
      written += FRAME_BYTES
      stream.write(Buffer.alloc(FRAME_BYTES), fill)
    }
    fill()
  })
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const client = openRawHttp2Client(t, path)
  client.send(OPENING)
  for (let n = 0; n < 500; n += 1) client.send(call(idOf(n), LIST, Buffer.alloc(5)))

  const good = openGrpcClient(t, path)
  let last = -1
  for (let quiet = 0; quiet < 50; quiet += 1) {
    assert.equal((await good.call(STATUS)).code, 0)
    if (written !== last) quiet = 0
    last = written
  }

  // What the fake runtime itself holds for each stream is counted as well.
  assert.ok(written < 24 * MIB + 500 * 4 * FRAME_BYTES, `${written} bytes`)
})

test('above the number of clients the oldest idle one has to go, and busy ones never', async (t) => {
  const { runtime, path } = await startRelay(t, { maxClients: 3 })
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const busy = openGrpcClient(t, path)
  const pull = busy.call(PULL)
  const pulling = await arrived
  const idle = openGrpcClient(t, path)
  await idle.call(STATUS)
  const other = openGrpcClient(t, path)
  await other.call(STATUS)
  const left = once(idle.session, 'close')

  const late = openGrpcClient(t, path)
  assert.equal((await late.call(STATUS)).code, 0)
  await left

  respond(pulling.stream, [])
  assert.equal((await pull).code, 0)
  assert.equal((await other.call(STATUS)).code, 0)
})

test('an evicted client keeps no descriptor, even if it does not close its end', async (t) => {
  const { path } = await startRelay(t, { maxClients: 1 })
  const client = connect({ path, allowHalfOpen: true })
  client.write(OPENING)
  await once(client, 'data')
  // So that nothing closes it later than at once.
  t.mock.timers.enable({ apis: ['setTimeout'] })
  client.resume()
  const ended = once(client, 'end')

  openRawHttp2Client(t, path).send(OPENING)
  await ended
  const broken = once(client, 'error')
  client.write(OPENING)
  const [error] = await broken

  assert.match(error.code, /EPIPE|ECONNRESET/)
})

test('clients that only listen to events make room, the oldest first, and never for good', async (t) => {
  const { runtime, path } = await startRelay(t, { maxClients: 3 })
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  runtime.handle(EVENTS, ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
  })
  const clients = [1, 2, 3].map(() => openGrpcClient(t, path))
  const [oldest, busy, polling] = clients
  const ends = clients.map(({ session }) => once(session, 'close'))
  for (const client of clients) await once(client.open(EVENTS), 'response')
  const pull = busy?.call(PULL)
  const pulling = await arrived
  assert.equal((await polling?.call(STATUS))?.code, 0)

  assert.equal((await openGrpcClient(t, path).call(STATUS)).code, 0)
  await ends[0]
  assert.equal(oldest?.session.closed, true)

  for (let n = 0; n < 3; n += 1) {
    assert.equal((await openGrpcClient(t, path).call(STATUS)).code, 0)
  }
  respond(pulling.stream, [])
  assert.equal((await pull)?.code, 0)
})

test('where all clients are busy a further one is turned away, and the log says so once', async (t) => {
  const warnings: unknown[] = []
  const logger = {
    warn: (...line: unknown[]) => warnings.push(line),
    debug() {},
    info() {},
    error() {},
  }
  const { runtime, path } = await startRelay(t, { maxClients: 1, logger: logger as never })
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const pull = openGrpcClient(t, path).call(PULL)
  const pulling = await arrived

  for (let tries = 0; tries < 3; tries += 1) {
    const { session } = openGrpcClient(t, path)
    await once(session, 'close')
  }
  respond(pulling.stream, [])

  assert.equal((await pull).code, 0)
  assert.deepEqual(warnings, [[{ clients: 1 }, 'the CRI socket has all the clients it takes']])
})

for (const [what, count, bytes] of [
  ['four of 9 MiB', 4, 9 * MIB],
  ['twenty of 3 MiB', 20, 3 * MIB],
  ['thirty of 1 MiB and some', 30, 1.2 * MIB],
] as const) {
  test(`lists that are edited, ${what} at once, are held one after the other, and none is refused`, async (t) => {
    const rewrite = () => ({
      response: bodyEdit((message) => Buffer.from(message), silentLogger()),
    })
    const { runtime, path } = await startRelay(t, { rewrite })
    const list = Buffer.alloc(bytes, 'image')
    runtime.handle(LIST, ({ stream }) => respond(stream, [list]))
    runtime.handle(STATUS, ({ stream }) => respond(stream, [Buffer.from('small')]))
    const client = openGrpcClient(t, path)

    const calls = Array.from({ length: count }, () => client.call(LIST))
    const small = await client.call(STATUS)
    const answers = await Promise.all(calls)

    assert.equal(small.code, 0)
    for (const { code, messages } of answers) {
      assert.equal(code, 0)
      assert.ok(messages[0]?.equals(list))
    }
  })
}

for (const [what, clients, count, bytes, begun] of [
  ['large ones', 1, 600, 20_000, 0],
  ['small beginnings', 1, 600, 20_000, 4_000],
  ['large ones of several clients', 8, 150, 20_000, 0],
] as const) {
  test(`answers that are held for their status, ${what} at once, neither wait for each other nor are refused`, async (t) => {
    const { runtime, path } = await startRelay(t)
    const body = Buffer.alloc(bytes, 'status')
    const message = framed(body)
    const streams: ServerHttp2Stream[] = []
    runtime.handle(STATUS, ({ stream }) => {
      streams.push(stream)
      if (streams.length === clients * count) void answerAll()
    })
    async function answerAll(): Promise<void> {
      const sent = streams.map((stream) => {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        return new Promise((resolve) => stream.write(message.subarray(0, begun), resolve))
      })
      await Promise.all(sent)
      for (const stream of streams) stream.end(message.subarray(begun))
    }

    const all = Array.from({ length: clients }, () => openGrpcClient(t, path))
    const answers = await Promise.all(
      all.flatMap((client) => Array.from({ length: count }, () => client.call(STATUS))),
    )

    for (const { code, messages } of answers) {
      assert.equal(code, 0)
      assert.ok(messages[0]?.equals(body))
    }
  })
}

test('a list that waits for another one of its client goes on when that is cancelled', async (t) => {
  const rewrite = () => ({ response: bodyEdit((message) => Buffer.from(message), silentLogger()) })
  const { runtime, path } = await startRelay(t, { rewrite })
  const list = Buffer.alloc(9 * MIB, 'image')
  runtime.handle(STATUS, ({ stream }) => respond(stream, []))
  let isFirst = true
  const begun = new Promise<void>((resolve) => {
    runtime.handle(LIST, ({ stream }) => {
      if (!isFirst) return respond(stream, [list])
      isFirst = false
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      // The beginning, and then nothing.
      stream.write(framed(list).subarray(0, MIB / 8), () => resolve())
    })
  })
  const client = openGrpcClient(t, path)
  const first = client.open(LIST)
  first.end(framed(Buffer.alloc(0)))
  await begun
  // Its answer comes behind what the runtime has sent of the list.
  await client.call(STATUS)

  const second = client.call(LIST)
  while (runtime.calls.length < 3) await new Promise(setImmediate)
  first.close(ERROR_CODE.cancel)

  const { code, messages } = await second
  assert.deepEqual([code, messages[0]?.length], [0, list.length])
})

test('calls with a large request and a large answer, both edited, do not wait for each other', async (t) => {
  const edit = () => bodyEdit((message) => Buffer.from(message), silentLogger())
  const { runtime, path } = await startRelay(t, {
    rewrite: () => ({ request: edit(), response: edit() }),
  })
  const large = Buffer.alloc(3 * MIB, 'image')
  runtime.handle(LIST, async ({ stream, request }) => respond(stream, await request))
  const client = openGrpcClient(t, path)

  const answers = await Promise.all(Array.from({ length: 6 }, () => client.call(LIST, [large])))

  for (const { code, messages } of answers) {
    assert.equal(code, 0)
    assert.ok(messages[0]?.equals(large))
  }
})
