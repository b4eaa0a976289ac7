import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  connect,
  type OutgoingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  sensitiveHeaders,
} from 'node:http2'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import fc from 'fast-check'
import { FRAME_FLAG, FRAME_TYPE, FrameReader, frame, PREFACE } from '../../src/http2/frames.ts'
import type { HeaderList } from '../../src/http2/headers.ts'
import { CompressionError, HpackDecoder } from '../../src/http2/hpack/decoder.ts'
import { encodeHeaders } from '../../src/http2/hpack/encoder.ts'
import { STATIC_TABLE } from '../../src/http2/hpack/tables.ts'

const LIST_BYTES = 1024 * 1024

/** Any bytes as latin1, often of a length that takes a second byte to write. */
const text = fc.oneof(
  fc.constantFrom(...STATIC_TABLE.flatMap(({ name, value }) => [name, value])),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
)
const list = fc
  .record({
    pairs: fc.array(fc.tuple(text, text), { maxLength: 20 }),
    isSensitive: fc.func(fc.boolean()),
  })
  .map(({ pairs, isSensitive }): HeaderList => {
    const sensitive = new Set(pairs.map(([name]) => name).filter((name) => isSensitive(name)))
    return { fields: pairs.flat(), sensitive: sensitive.size === 0 ? undefined : sensitive }
  })

test('what was encoded is decoded again: fields, their order, and the names to be kept', () => {
  fc.assert(
    fc.property(list, (sent) => {
      const decoded = new HpackDecoder(LIST_BYTES).decode(encodeHeaders(sent))

      const { fields } = sent
      const listBytes = 16 * fields.length + fields.join('').length
      assert.deepEqual(decoded, { list: sent, listBytes, isTooLong: false })
    }),
    { numRuns: 500 },
  )
})

/** Bytes at random seldom get past the first field; these are forms with random numbers in them. */
const hostileBlock = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(
        Uint8Array.of(0x40, 1, 0x61, 1, 0x62),
        Uint8Array.of(0x20),
        Uint8Array.of(0x3f),
      ),
      fc.integer({ min: 0x80, max: 0xff }).map((byte) => Uint8Array.of(byte)),
    ),
    { maxLength: 20 },
  )
  .map((parts) => Buffer.concat(parts))

test('any blocks at all are decoded within the limit or refused, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(hostileBlock), fc.integer({ min: 0, max: 500 }), (blocks, maxBytes) => {
      const decoder = new HpackDecoder(maxBytes)
      try {
        for (const block of blocks) {
          const { fields } = decoder.decode(block).list
          assert.ok(fields.join('').length + 16 * fields.length <= maxBytes)
        }
      } catch (error) {
        assert.ok(error instanceof CompressionError)
      }
    }),
    { numRuns: 2_000 },
  )
})

/** Hop-by-hop, or with a meaning for Node's engine that goes beyond the field. */
const UNUSABLE = ['transfer-encoding', 'host', 'content-length', 'expect']
const USABLE = STATIC_TABLE.filter(({ name }) => !name.startsWith(':') && !UNUSABLE.includes(name))

const headerName = fc.oneof(
  fc.constantFrom(...USABLE.map(({ name }) => name)),
  fc.stringMatching(/^x-[a-z]{1,30}$/),
)
const headerValue = fc
  .array(fc.oneof(fc.integer({ min: 0x21, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })), {
    minLength: 1,
    maxLength: 300,
  })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
const headers = fc
  .record({
    values: fc.dictionary(headerName, headerValue, { maxKeys: 15 }),
    isSensitive: fc.func(fc.boolean()),
  })
  .map(({ values, isSensitive }): OutgoingHttpHeaders => {
    const sensitive = Object.keys(values).filter((name) => isSensitive(name))
    return { ...values, [sensitiveHeaders]: sensitive }
  })
const pseudo = fc.record({
  ':method': fc.constantFrom('GET', 'POST', 'PUT'),
  ':scheme': fc.constantFrom('http', 'https'),
  ':path': fc.constantFrom('/', '/index.html', '/runtime.v1.ImageService/ImageStatus'),
  ':authority': fc.constantFrom('localhost', 'elsewhere'),
})
const request = fc.tuple(pseudo, headers).map(([first, rest]) => ({ ...first, ...rest }))
const response = fc
  .tuple(fc.constantFrom(200, 204, 206, 304, 400, 404, 500, 503), headers)
  .map(([status, rest]) => ({ ':status': status, ...rest }))

test("blocks of Node's engine, with its table and Huffman code, are decoded as it does", async () => {
  const exchanges = fc.array(fc.tuple(request, response), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(exchanges, async (all) => {
      const wire = new TappedConnection()
      try {
        const requests: HeaderList[] = []
        const responses: HeaderList[] = []
        for (const [ask, answer] of all) {
          const received = await wire.exchange(ask, answer)
          requests.push(received.request)
          responses.push(received.response)
        }

        assert.deepEqual(decodeAll(wire.requestBlocks()), requests)
        assert.deepEqual(decodeAll(wire.responseBlocks()), responses)
      } finally {
        wire.close()
      }
    }),
    { numRuns: 60 },
  )
})

test("Node's engine reads from our blocks what we wrote into them", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 6 }), async (all) => {
      const [ours, theirs] = duplexPair()
      const session = performServerHandshake(theirs)
      try {
        ours.resume()
        ours.write(Buffer.concat([PREFACE, frame(FRAME_TYPE.settings, 0, 0, Buffer.alloc(0))]))
        for (const [i, each] of all.entries()) {
          const raw = Object.entries(each).flatMap(([name, value]) => [name, `${value}`])
          const sent = listOf(raw, each)
          const flags = FRAME_FLAG.endStream | FRAME_FLAG.endHeaders
          ours.write(frame(FRAME_TYPE.headers, flags, 2 * i + 1, encodeHeaders(sent)))

          const [, received, , rawHeaders] = await once(session, 'stream')
          assert.deepEqual(listOf(rawHeaders, received), sent)
        }
      } finally {
        session.destroy()
      }
    }),
    { numRuns: 60 },
  )
})

test("the static table has its names where Node's engine has them", async () => {
  const wire = new TappedConnection()
  try {
    const sent = USABLE.map(({ name, value }) => [name, value === '' ? 'x' : value] as const)
    await wire.exchange({}, {})
    for (const [name, value] of sent) await wire.exchange({ [name]: value }, {})

    const [, ...blocks] = wire.requestBlocks()
    const [, ...lists] = decodeAll(wire.requestBlocks())
    assert.deepEqual(
      lists.map((list) => list.fields.slice(-2)),
      sent,
    )
    // Four fields of one byte; then two bytes of index and two of value. A name written out is more.
    assert.deepEqual(
      blocks.filter((block) => block.length > 8),
      [],
    )
  } finally {
    wire.close()
  }
})

/** A client and a server of Node's engine, and what went between them. */
class TappedConnection {
  readonly #toServer: Buffer[] = []
  readonly #toClient: Buffer[] = []
  readonly #client: ClientHttp2Session
  readonly #server: ServerHttp2Session

  constructor() {
    const [client, besideClient] = duplexPair()
    const [server, besideServer] = duplexPair()
    besideClient.on('data', (chunk: Buffer) => {
      this.#toServer.push(chunk)
      besideServer.write(chunk)
    })
    besideServer.on('data', (chunk: Buffer) => {
      this.#toClient.push(chunk)
      besideClient.write(chunk)
    })
    this.#server = performServerHandshake(server)
    this.#client = connect('http://localhost', { createConnection: () => client })
  }

  /** One request after the other, each as the other side has received it. */
  async exchange(
    ask: OutgoingHttpHeaders,
    answer: OutgoingHttpHeaders,
  ): Promise<{ readonly request: HeaderList; readonly response: HeaderList }> {
    const arrival = once(this.#server, 'stream')
    const call = this.#client.request(ask)
    const answered = once(call, 'response')
    const closed = once(call, 'close')
    call.end()
    call.resume()
    const [stream, asked, , rawAsked] = await arrival
    stream.respond(answer, { endStream: true })
    stream.resume()
    const [got, , rawGot] = await answered
    await closed
    return { request: listOf(rawAsked, asked), response: listOf(rawGot, got) }
  }

  requestBlocks(): Buffer[] {
    return blocksOf(Buffer.concat(this.#toServer).subarray(PREFACE.length))
  }

  responseBlocks(): Buffer[] {
    return blocksOf(Buffer.concat(this.#toClient))
  }

  close(): void {
    this.#client.destroy()
    this.#server.destroy()
  }
}

const PRIORITY_BYTES = 5

function blocksOf(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = []
  const reader = new FrameReader((type, flags, _streamId, payload) => {
    if (type !== FRAME_TYPE.headers) return
    const isPrioritised = (flags & FRAME_FLAG.priority) !== 0
    blocks.push(isPrioritised ? payload.subarray(PRIORITY_BYTES) : payload)
  })
  reader.push(bytes)
  return blocks
}

function decodeAll(blocks: readonly Buffer[]): HeaderList[] {
  const decoder = new HpackDecoder(LIST_BYTES)
  return blocks.map((block) => decoder.decode(block).list)
}

function listOf(fields: readonly string[], received: object): HeaderList {
  const sensitive: readonly string[] = Reflect.get(received, sensitiveHeaders) ?? []
  return { fields, sensitive: sensitive.length === 0 ? undefined : new Set(sensitive) }
}
