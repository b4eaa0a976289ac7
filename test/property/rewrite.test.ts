import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { createRewrite } from '../../src/cri/rewrite/rewrite.ts'
import { readMessage, readString, withBytes, withString } from '../../src/cri/wire.ts'
import { testAliases } from '../support/aliases.ts'
import { framed, unframed } from '../support/grpc-frames.ts'

const HEX = 'a'.repeat(64)
const D = `sha256:${'d'.repeat(64)}`
const MIRROR = `m:5000/library/x@${D}`
const TAG = 'docker.io/library/x:1'
const RPCS = [
  'ImageService/ListImages',
  'ImageService/StreamImages',
  'RuntimeService/ListContainers',
  'RuntimeService/StreamContainers',
  'RuntimeService/ContainerStatus',
  'RuntimeService/PodSandboxStatus',
  'RuntimeService/GetContainerEvents',
  'RuntimeService/CreateContainer',
  'RuntimeService/RestorePod',
]
const NOTHING = Buffer.alloc(0)
const number = fc.integer({ min: 1, max: 30 })

/** Fields of every wire type, nested as deep as those that are looked into. */
const message: fc.Arbitrary<Buffer> = fc.letrec<{ message: Buffer }>((tie) => ({
  message: fc
    .array(
      fc.oneof(
        { maxDepth: 5 },
        fc
          .tuple(number, fc.uint8Array({ maxLength: 12 }))
          .map(([field, bytes]) => embedded(field, bytes)),
        fc
          .tuple(number, fc.constantFrom('x:1', 'y:1', HEX, MIRROR, TAG, D))
          .map(([field, text]) => embedded(field, Buffer.from(text))),
        fc
          .tuple(number, fc.integer({ min: 0, max: 127 }))
          .map(([field, value]) => Buffer.concat([tag(field, 0), Buffer.of(value)])),
        fc
          .tuple(number, fc.uint8Array({ minLength: 8, maxLength: 8 }))
          .map(([field, bytes]) => Buffer.concat([tag(field, 1), bytes])),
        fc.tuple(number, tie('message')).map(([field, bytes]) => embedded(field, bytes)),
      ),
      { maxLength: 6 },
    )
    .map((parts) => Buffer.concat(parts)),
})).message

function tag(field: number, type: number): Buffer {
  const value = field * 8 + type
  return value < 128 ? Buffer.of(value) : Buffer.of((value % 128) + 128, Math.floor(value / 128))
}

function embedded(field: number, bytes: Uint8Array): Buffer {
  return Buffer.from(withBytes(NOTHING, field, bytes))
}

function passer(t: TestContext) {
  const { aliases, store } = testAliases(t)
  const rewrite = createRewrite(aliases, { warn: () => {}, error: assert.fail })
  const pass = (rpc: string, bytes: Buffer, side: 'request' | 'response'): Buffer => {
    const frame = framed(bytes)
    const [out] = unframed(rewrite(`/runtime.v1.${rpc}`)?.[side]?.chunk(frame) ?? frame)
    return out ?? assert.fail('a message was lost')
  }
  return { pass, store }
}

test('without names of ours every message goes through as it came', (t) => {
  const { pass } = passer(t)

  fc.assert(
    fc.property(fc.constantFrom(...RPCS), message, (rpc, bytes) => {
      assert.deepEqual(pass(rpc, bytes, 'request'), bytes)
      assert.deepEqual(pass(rpc, bytes, 'response'), bytes)
    }),
    { numRuns: 500 },
  )
})

test('any bytes at all go through as they came, or as a message', (t) => {
  const { pass } = passer(t)

  fc.assert(
    fc.property(fc.constantFrom(...RPCS), fc.uint8Array({ maxLength: 100 }), (rpc, bytes) => {
      assert.deepEqual(pass(rpc, Buffer.from(bytes), 'response'), Buffer.from(bytes))
    }),
    { numRuns: 500 },
  )
})

test('in a message with our names, everything that is no name keeps its bytes', async (t) => {
  const { pass, store } = passer(t)
  await store.record({
    image: HEX,
    names: [{ name: TAG }, { name: `docker.io/library/x@${D}` }],
    mirror: MIRROR,
  })
  // Fields of ContainerStatus in which there is no name of an image.
  const others = fc
    .array(
      fc
        .tuple(fc.integer({ min: 20, max: 2_000 }), fc.uint8Array({ maxLength: 20 }))
        .map(([field, bytes]) => embedded(field, bytes)),
      { maxLength: 5 },
    )
    .map((parts) => Buffer.concat(parts))

  fc.assert(
    fc.property(others, others, others, (before, within, after) => {
      const status = (title: string, reference: string) =>
        Buffer.concat([
          before,
          embedded(8, Buffer.concat([within, embedded(1, Buffer.from(title))])),
          embedded(9, Buffer.from(reference)),
          embedded(17, Buffer.from(HEX)),
          after,
        ])

      const out = pass(
        'RuntimeService/ContainerStatus',
        embedded(1, status(MIRROR, MIRROR)),
        'response',
      )

      assert.deepEqual(out, embedded(1, status(TAG, `docker.io/library/x@${D}`)))
    }),
  )
})

test('the ID of an image is the same before and after', async (t) => {
  const { pass, store } = passer(t)
  await store.record({ image: HEX, names: [{ name: TAG }], mirror: MIRROR })

  fc.assert(
    fc.property(message, (bytes) => {
      const image = withString(bytes, 1, HEX)
      const out = pass('ImageService/ListImages', embedded(1, image), 'response')

      assert.equal(readString(readMessage(out, 1) ?? NOTHING, 1), HEX)
    }),
  )
})
