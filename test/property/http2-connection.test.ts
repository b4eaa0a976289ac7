import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type Duplex, duplexPair } from 'node:stream'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { Connection } from '../../src/http2/connection.ts'
import {
  ConnectionError,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  frame,
  MAX_PAYLOAD_BYTES,
  numberFrame,
  PREFACE,
  type Settings,
  writeSettings,
} from '../../src/http2/frames.ts'
import { headerValue } from '../../src/http2/headers.ts'
import { encodeHeaders } from '../../src/http2/hpack/encoder.ts'
import type { Stream } from '../../src/http2/stream.ts'
import { chunked, conversations } from '../support/hostile-frames.ts'
import { requestTo } from '../support/http2-ends.ts'
import { SETTINGS } from '../support/raw-http2-client.ts'
import { RawHttp2End } from '../support/raw-http2-end.ts'
import { raise } from '../support/raw-http2-pair.ts'
import { RecordedStream } from '../support/recorded-stream.ts'

const CODE = ERROR_CODE.enhanceYourCalm
/** Bodies are parts of it, so that bytes in the wrong place are wrong bytes. */
const POOL = randomBytes(2 * 1024 * 1024)

interface Side {
  /** Bytes of each piece of its body. */
  readonly pieces: readonly number[]
  /** Says its end with the last piece; otherwise with trailers. */
  readonly endsWithData: boolean
  /** Resets the call behind so many pieces. */
  readonly resetsAfter: number | undefined
}

interface Script {
  readonly calls: readonly { readonly client: Side; readonly server: Side }[]
  /** Which call says something next, on which side. */
  readonly turns: readonly (readonly [call: number, side: 'client' | 'server'])[]
  /** Every so many turns, all that is under way arrives. */
  readonly pause: number
  /** What each side is told of the other, one after the other, as the turns go by. */
  readonly settings: readonly (readonly ['client' | 'server', Settings])[]
}

const side = fc.record({
  pieces: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.nat(300) },
      { weight: 2, arbitrary: fc.constantFrom(0, 1, 16_383, 16_384, 16_385, 65_535, 65_536) },
      { weight: 1, arbitrary: fc.nat(400_000) },
    ),
    { maxLength: 8 },
  ),
  endsWithData: fc.boolean(),
  resetsAfter: fc.option(fc.nat(8), { nil: undefined, freq: 3 }),
})
const window = fc.constantFrom(0, 1, 1_000, 65_535, 400_000, 0x7fffffff - 2 ** 25)
const scripts: fc.Arbitrary<Script> = fc.record({
  calls: fc.array(fc.record({ client: side, server: side }), { minLength: 1, maxLength: 6 }),
  turns: fc.array(fc.tuple(fc.nat(5), fc.constantFrom('client', 'server')), { maxLength: 60 }),
  pause: fc.integer({ min: 1, max: 20 }),
  settings: fc.array(
    fc.tuple(
      fc.constantFrom('client', 'server'),
      fc.record(
        { initialWindowSize: window, maxConcurrentStreams: fc.constantFrom(0, 1, 2, 100) },
        { requiredKeys: [] },
      ),
    ),
    { maxLength: 4 },
  ),
})

function bodyOf({ pieces }: Side, call: number): Buffer {
  return POOL.subarray(call * 1_000, call * 1_000 + pieces.reduce((sum, each) => sum + each, 0))
}

/** Says its side of the script, piece by piece. */
class Speaker {
  readonly heard: RecordedStream
  readonly #side: Side
  readonly #call: number
  readonly #name: string
  #said = 0
  #offset: number

  constructor(name: 'client' | 'server', script: Side, call: number, heard: RecordedStream) {
    this.#name = name
    this.#side = script
    this.#call = call
    this.#offset = call * 1_000
    this.heard = heard
  }

  /** @returns whether there was something left to say */
  say(): boolean {
    const { stream } = this.heard
    const { endsWithData, pieces, resetsAfter } = this.#side
    const said = this.#said
    if (stream === undefined || said > pieces.length) return false
    this.#said += 1
    if (said === resetsAfter) stream.reset(CODE)
    const bytes = pieces[said]
    if (bytes === undefined) {
      if (!endsWithData || pieces.length === 0) {
        stream.sendHeaders({ fields: ['x-from', `${this.#name} ${this.#call}`] }, true)
      }
      return true
    }
    const isEnd = endsWithData && said === pieces.length - 1
    stream.sendData(POOL.subarray(this.#offset, this.#offset + bytes), isEnd)
    this.#offset += bytes
    return true
  }
}

interface Ends {
  readonly client: Connection
  readonly server: Connection
  readonly speakers: Readonly<Record<'client' | 'server', Speaker[]>>
  readonly transports: Readonly<Record<'client' | 'server', Duplex>>
  readonly closed: Promise<readonly (Error | undefined)[]>
}

function connect({ calls }: Script): Ends {
  const [here, there] = duplexPair()
  const speakers: Ends['speakers'] = { client: [], server: [] }
  const closings: Promise<Error | undefined>[] = []
  const open = (transport: Duplex, role: 'client' | 'server'): Connection => {
    let connection: Connection | undefined
    closings.push(
      new Promise((resolve) => {
        connection = new Connection(transport, {
          role,
          onClosed: resolve,
          onDefect: raise,
          onStream: (stream, list) => {
            const call = Number(headerValue(list, 'x-call'))
            const speaker = speakers.server[call]
            assert.ok(speaker)
            speaker.heard.stream = stream
            stream.sendHeaders({ fields: [':status', '200'] }, false)
            return speaker.heard
          },
        })
      }),
    )
    assert.ok(connection)
    transport.on('end', () => transport.end())
    return connection
  }
  const [client, server] = [open(here, 'client'), open(there, 'server')]
  for (const [index, call] of calls.entries()) {
    const heard = new RecordedStream()
    heard.stream = client.open(heard)
    heard.stream.begin(requestTo('/', ['x-call', String(index)]), false)
    speakers.client.push(new Speaker('client', call.client, index, heard))
    speakers.server.push(new Speaker('server', call.server, index, new RecordedStream()))
  }
  const closed = Promise.all(closings)
  return { client, server, speakers, transports: { client: here, server: there }, closed }
}

/** What an end announces goes through the other's transport, as if it had said so itself. */
function announce(transports: Ends['transports'], to: 'client' | 'server', what: Settings): void {
  const from = to === 'client' ? transports.server : transports.client
  from.write(frame(FRAME_TYPE.settings, 0, 0, writeSettings(what)))
}

async function play(script: Script, { speakers, transports }: Ends): Promise<void> {
  const settings = [...script.settings]
  // Both have greeted each other.
  for (let n = 0; n < 4; n += 1) await setImmediate()
  for (const [n, [call, name]] of script.turns.entries()) {
    speakers[name][call]?.say()
    const [to, what] = settings[0] ?? []
    if (n % 7 === 3 && to !== undefined && what !== undefined) {
      settings.shift()
      announce(transports, to, what)
    }
    if (n % script.pause === 0) await setImmediate()
  }
  for (const to of ['client', 'server'] as const) {
    announce(transports, to, { initialWindowSize: 2 ** 20, maxConcurrentStreams: 100 })
  }
  const all = [...speakers.client, ...speakers.server]
  const hasEnded = (): boolean =>
    all.every(({ heard }) => heard.stream === undefined || heard.ends.length > 0)
  // Bounded: what never ends is not to hang the test.
  let quiet = 0
  for (let n = 0; n < 10_000 && quiet < 4; n += 1) {
    for (const speaker of all) speaker.say()
    await setImmediate()
    quiet = hasEnded() ? quiet + 1 : 0
  }
}

function check(name: string, said: Side, call: number, heard: RecordedStream): void {
  const whole = bodyOf(said, call)
  const { body } = heard
  assert.ok(whole.subarray(0, body.length).equals(body), `call ${call} ${name}`)
  if (heard.lastWords === 0) return
  assert.equal(heard.lastWords, 1)
  assert.equal(body.length, whole.length)
  if (said.endsWithData && said.pieces.length > 0) return
  assert.equal(headerValue(heard.heard.at(-1) ?? { fields: [] }, 'x-from'), `${name} ${call}`)
}

test('what is sent arrives, in order and whole, and each call ends once on both sides', async () => {
  await fc.assert(
    fc.asyncProperty(scripts, async (script) => {
      const ends = connect(script)
      await play(script, ends)

      for (const [call, { client, server }] of script.calls.entries()) {
        const [here, there] = [ends.speakers.client[call], ends.speakers.server[call]]
        assert.ok(here && there)
        const wasBegun = there.heard.stream !== undefined
        assert.equal(here.heard.ends.length, 1, `client's call ${call}`)
        assert.equal(there.heard.ends.length, wasBegun ? 1 : 0, `server's call ${call}`)
        check('server', server, call, here.heard)
        check('client', client, call, there.heard)
        if (client.resetsAfter !== undefined || server.resetsAfter !== undefined) continue
        assert.deepEqual(
          [here.heard.ends, there.heard.ends],
          [[{ how: 'done' }], [{ how: 'done' }]],
        )
        assert.deepEqual([here.heard.lastWords, there.heard.lastWords], [1, 1])
      }
      ends.client.goAway()
      assert.deepEqual(await ends.closed, [undefined, undefined])
    }),
    { numRuns: 150 },
  )
})

interface Attacked {
  readonly connection: Connection
  readonly calls: readonly RecordedStream[]
  readonly raw: RawHttp2End
  readonly peer: Duplex
  readonly transport: Duplex
  readonly closed: Promise<Error | undefined>
}

function attacked(role: 'client' | 'server'): Attacked {
  const [here, peer] = duplexPair()
  const raw = new RawHttp2End(peer, role === 'client' ? PREFACE.length : 0)
  const calls: RecordedStream[] = []
  let connection: Connection | undefined
  const closed = new Promise<Error | undefined>((resolve) => {
    connection = new Connection(here, {
      role,
      onClosed: resolve,
      onDefect: raise,
      onStream: (stream, _list, isEnd) => {
        const call = new RecordedStream()
        call.stream = stream
        calls.push(call)
        stream.sendHeaders({ fields: [':status', '200'] }, false)
        stream.sendData(Buffer.alloc(70_000), isEnd)
        if (isEnd) stream.resetBehind(ERROR_CODE.noError)
        return call
      },
    })
  })
  assert.ok(connection)
  return { connection, calls, raw, peer, transport: here, closed }
}

async function endsWell({ calls, raw, closed }: Attacked): Promise<void> {
  const cause = await closed
  for (const { ends } of calls) assert.equal(ends.length, 1)
  for (const { payload } of raw.received) assert.ok(payload.length <= MAX_PAYLOAD_BYTES)
  if (!(cause instanceof ConnectionError)) return
  // Unless its peer had left already.
  const last = raw.received.at(-1)
  if (last !== undefined && last.type === FRAME_TYPE.goAway) {
    assert.equal(last.payload.readUInt32BE(4), cause.code)
  }
}

async function attack(victim: Attacked, chunks: readonly Buffer[]): Promise<void> {
  for (const [n, chunk] of chunks.entries()) {
    if (!victim.peer.writable) break
    victim.peer.write(chunk)
    if (n % 10 === 0) await setImmediate()
  }
  await setImmediate()
  victim.peer.end()
}

test('a server goes on or ends with GOAWAY, whatever a client says', async () => {
  await fc.assert(
    fc.asyncProperty(conversations, async (chunks) => {
      const victim = attacked('server')
      await attack(victim, chunks)

      await endsWell(victim)
    }),
    { numRuns: 300 },
  )
})

const ids = fc.constantFrom(1, 1, 3, 5, 0, 2, 9)
const flags = fc.constantFrom(0, 1, 4, 4, 5, 5, 8, 0x2c)
const block = fc.constantFrom(
  encodeHeaders({ fields: [':status', '200', 'content-type', 'application/grpc'] }),
  encodeHeaders({ fields: [':status', '100'] }),
  encodeHeaders({ fields: ['grpc-status', '0'] }),
  encodeHeaders({ fields: [] }),
)
const someBytes = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes))
const answerFrame = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom(1, 1, 1, 9), flags, ids, block) },
  { weight: 3, arbitrary: fc.tuple(fc.constant(0), fc.constantFrom(0, 1, 8), ids, someBytes) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(11), flags, ids, someBytes) },
)
const answers = fc
  .record({
    pieces: fc.array(
      fc.oneof(
        {
          weight: 6,
          arbitrary: answerFrame.map(([type, flag, id, bytes]) => frame(type, flag, id, bytes)),
        },
        {
          weight: 2,
          arbitrary: fc
            .tuple(fc.constantFrom(3, 8), ids, fc.constantFrom(0, 1, 8, 2 ** 31 - 1))
            .map(([type, id, value]) => numberFrame(type, id, value)),
        },
        {
          weight: 1,
          arbitrary: fc
            .record({ initialWindowSize: window, maxConcurrentStreams: fc.nat(3) })
            .map((settings) => frame(FRAME_TYPE.settings, 0, 0, writeSettings(settings))),
        },
        someBytes,
      ),
      { maxLength: 15 },
    ),
    flips: fc.array(fc.tuple(fc.nat(600), fc.integer({ min: 1, max: 255 })), { maxLength: 2 }),
    chunkBytes: fc.constantFrom(1, 9, 100, 65_536),
    settingsReceived: fc.boolean(),
  })
  .map(({ pieces, flips, chunkBytes, settingsReceived }) => {
    const bytes = Buffer.concat(settingsReceived ? [SETTINGS, ...pieces] : pieces)
    for (const [at, by] of flips) {
      if (at < bytes.length) bytes.writeUInt8(bytes.readUInt8(at) ^ by, at)
    }
    return chunked(bytes, chunkBytes)
  })

test('a client goes on or ends with GOAWAY, whatever a server says', async () => {
  await fc.assert(
    fc.asyncProperty(answers, async (chunks) => {
      const victim = attacked('client')
      const calls = [1, 2, 3].map(() => {
        const call = new RecordedStream()
        const stream: Stream = victim.connection.open(call)
        call.stream = stream
        stream.begin(requestTo('/'), false)
        stream.sendData(Buffer.alloc(70_000), true)
        return call
      })
      await setImmediate()
      await attack(victim, chunks)

      await endsWell({ ...victim, calls })
    }),
    { numRuns: 300 },
  )
})

/** A conversation without fault, to be cut anywhere. */
const FAULTLESS = Buffer.concat([
  PREFACE,
  SETTINGS,
  ...[1, 3].flatMap((id) => [
    frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, id, encodeHeaders(requestTo('/'))),
    frame(FRAME_TYPE.data, 0, id, Buffer.alloc(50)),
    frame(FRAME_TYPE.data, FRAME_FLAG.endStream, id, Buffer.alloc(5)),
  ]),
])

test('a client may leave at any byte', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(FAULTLESS.length), fc.boolean(), async (length, isRude) => {
      const victim = attacked('server')
      victim.peer.write(FAULTLESS.subarray(0, length))
      await setImmediate()
      const cause = isRude ? new Error('broken') : undefined
      if (isRude) victim.transport.destroy(cause)
      else victim.peer.end()

      await endsWell(victim)
      assert.equal(await victim.closed, cause)
    }),
    { numRuns: 200 },
  )
})
