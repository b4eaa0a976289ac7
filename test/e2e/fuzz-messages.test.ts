import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { withImage } from '../../src/cri/image-messages.ts'
import { withBytes } from '../../src/cri/wire.ts'
import { startBesiegedNode } from '../support/besieged-node.ts'
import { answerOf, type GrpcAnswer, openGrpcClient } from '../support/grpc-client.ts'
import { messages, nested } from '../support/hostile-messages.ts'
import { fieldsOf, writingsOf } from '../support/strict-protobuf.ts'

const REMOVE = '/runtime.v1.ImageService/RemoveImage'
const PULL = '/runtime.v1.ImageService/PullImage'
const STATUS = '/runtime.v1.ImageService/ImageStatus'
const RESOLVE = '/imageresolver.v1.ImageResolver/ResolveImage'
const CALLS = [REMOVE, STATUS, PULL, RESOLVE]
const IMAGE_SPEC = 1
const IMAGE = 1
const SIXTEEN_MIB = 16 * 1024 * 1024
const LARGE = SIXTEEN_MIB - 64
const ROUTES = { 'in the runtime': true, 'beside the runtime': false } as const

/** The image that a runtime reads in a RemoveImageRequest; undefined: it refuses it. */
function imageOf(request: Buffer): string | undefined {
  const specs = writingsOf(request, IMAGE_SPEC)
  if (specs?.every((spec) => fieldsOf(spec)) !== true) return undefined
  const names = writingsOf(Buffer.concat(specs), IMAGE)
  return names && (names.at(-1)?.toString() ?? '')
}

/**
 * Whether some bytes of the message, behind their length, read as that text. Those that are no UTF-8 read
 * otherwise beside what follows them.
 */
function isTextIn(message: Buffer, text: string): boolean {
  return message.some((_byte, start) => {
    let [length, at] = [0, start]
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at] ?? 0
      length += (byte & 0x7f) * 2 ** shift
      at += 1
      if (byte < 0x80) break
    }
    return message.subarray(at, at + length).toString() === text
  })
}

function assertEnded({ code, resetCode }: GrpcAnswer): void {
  assert.equal(resetCode, 0)
  assert.ok(code !== undefined && code >= 0 && code <= 16, String(code))
}

for (const [where, table] of Object.entries(ROUTES)) {
  test(`any message at all ends well, and removes what it names or nothing; names kept ${where}`, async (t) => {
    const node = await startBesiegedNode(t, { table })
    const client = openGrpcClient(t, node.daemon.socketPath)

    await fc.assert(
      fc.asyncProperty(messages, async (message) => {
        node.runtime.forget()
        const ended = await Promise.all(CALLS.map((path) => client.call(path, [message])))

        for (const answer of ended) assertEnded(answer)
        const asked = imageOf(message)
        for (const removed of node.runtime.removed) {
          // containerd is asked by the name itself, other runtimes by the ID that they gave for it.
          const name = table ? removed : (node.runtime.given.get(removed) ?? '')
          assert.notEqual(name.trim(), '')
          // Where a runtime would refuse the rest of the request, its name at least was written in it.
          if (asked === undefined) assert.ok(isTextIn(message, name))
          else assert.equal(name, asked)
        }
        for (const pulled of node.runtime.pulled) assert.deepEqual(pulled, message)
      }),
      { numRuns: 500, endOnFailure: true, includeErrorInReport: true },
    )

    await node.unharmed()
  })
}

const filled = (pattern: Buffer): Buffer => Buffer.alloc(LARGE - (LARGE % pattern.length), pattern)
const NAMES: Readonly<Record<string, string>> = {
  letters: 'a',
  slashes: '/a',
  dots: '.',
  colons: ':a',
  spaces: ' ',
}
const nameOf = (text: string): string =>
  'a'.repeat(100).concat(text.repeat(Math.floor((LARGE - 200) / text.length)))
const NESTED = nested(5_000)

const LARGE_MESSAGES: Readonly<Record<string, () => Buffer>> = {
  'millions of empty fields': () => filled(Buffer.of(10, 0)),
  'millions of images called a': () => filled(Buffer.of(10, 3, 10, 1, 97)),
  'millions of fields in the image': () =>
    Buffer.from(withBytes(new Uint8Array(), 1, filled(Buffer.of(10, 0)).subarray(0, LARGE - 16))),
  'millions of numbers': () => filled(Buffer.of(24, 1)),
  'millions of groups in groups': () => filled(Buffer.of(11)),
  'messages in messages, 5,000 deep': () => NESTED,
  ...Object.fromEntries(
    Object.entries(NAMES).map(([what, text]) => [
      `a name of 16 MiB of ${what}`,
      () => Buffer.from(withImage(new Uint8Array(), nameOf(text))),
    ]),
  ),
}

for (const [where, table] of Object.entries(ROUTES)) {
  test(`16 MiB of one thing end well, whatever it is, and hold nobody up; names kept ${where}`, async (t) => {
    const node = await startBesiegedNode(t, { table })
    const client = openGrpcClient(t, node.daemon.socketPath)

    for (const [name, make] of Object.entries(LARGE_MESSAGES)) {
      const message = make()
      for (const path of CALLS) assertEnded(await client.call(path, [message]))
      await node.unharmed(name)
    }

    const asked = new Set(['a', imageOf(NESTED), ...Object.values(NAMES).map(nameOf)])
    for (const id of node.runtime.removed) assert.ok(asked.has(node.runtime.given.get(id) ?? ''))
  })
}

test('a message that unpacks to a gigabyte is refused, and not unpacked', async (t) => {
  const node = await startBesiegedNode(t)
  const packed = gzipSync(Buffer.alloc(1024 ** 3))
  // After that: a client has to speak within ten seconds.
  const client = openGrpcClient(t, node.daemon.socketPath)

  for (const path of [REMOVE, PULL, RESOLVE]) {
    const stream = client.open(path, { 'grpc-encoding': 'gzip' })
    const prefix = Buffer.of(1, 0, 0, 0, 0)
    prefix.writeUInt32BE(packed.length, 1)
    const answer = answerOf(stream)
    stream.end(Buffer.concat([prefix, packed]))
    assert.equal((await answer).code, 8)
  }

  assert.deepEqual([...node.runtime.removed, ...node.runtime.pulled], [])
  await node.unharmed()
})
