import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader'
import fc from 'fast-check'
import { MalformedMessageError } from '../../src/runtime/protobuf.ts'
import { loadService } from '../../src/runtime/protos.ts'

// What protobufjs reads and writes, of every kind of field that our proto files have.

const folder = fileURLToPath(new URL('../../protos', import.meta.url))
const text = fc.string({ unit: 'binary-ascii', maxLength: 300 })
const texts = fc.array(text, { maxLength: 3 })
const key = text.filter((name) => name !== '__proto__')
const map = fc.dictionary(key, text, { maxKeys: 3 })
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
const timestamp = fc.record({ seconds: int64, nanos: fc.integer() })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value)
const target = fc.record({ mediaType: text, digest: text, size: int64, annotations: map })
const name = fc.record({ name: text, labels: map, target: maybe(target) })
const image = fc.record({
  id: text,
  repoTags: texts,
  repoDigests: texts,
  size: uint64,
  pinned: fc.boolean(),
})
const attempt = fc.record({
  registry: text,
  step: text,
  outcome: text,
  status: uint32,
  ms: fc.double({ noNaN: true }),
  message: text,
})
const resolved = fc.record({
  imageId: text,
  references: fc.array(
    fc.record({
      reference: text,
      kind: text,
      registry: text,
      priority: uint32,
      verified: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
  digest: text,
  manifestDigest: text,
  mediaType: text,
  platform: maybe(
    fc.record({ os: text, architecture: text, variant: text, assumed: fc.boolean() }),
  ),
  reference: text,
  registry: text,
  source: text,
  resolvedAt: maybe(timestamp),
  expiresAt: maybe(timestamp),
  node: maybe(fc.record({ present: fc.boolean(), imageId: text })),
  attempts: fc.array(attempt, { maxLength: 3 }),
})
const kind = fc.constantFrom('UNKNOWN', 'VIEW', 'ACTIVE', 'COMMITTED')

const MESSAGES: readonly (readonly [
  file: string,
  service: string,
  rpc: string,
  fc.Arbitrary<object>,
])[] = [
  [
    'runtime/v1/image.proto',
    'runtime.v1.ImageService',
    'ListImages',
    fc.record({ images: fc.array(image, { maxLength: 3 }) }),
  ],
  ['runtime/v1/image.proto', 'runtime.v1.RuntimeService', 'Status', fc.record({ info: map })],
  [
    'containerd/services/images/v1/images.proto',
    'containerd.services.images.v1.Images',
    'List',
    fc.record({ images: fc.array(name, { maxLength: 3 }) }),
  ],
  [
    'containerd/services/content/v1/content.proto',
    'containerd.services.content.v1.Content',
    'Read',
    fc.record({ offset: int64, data: bytes }),
  ],
  [
    'containerd/services/snapshots/v1/snapshots.proto',
    'containerd.services.snapshots.v1.Snapshots',
    'Stat',
    fc.record({ info: maybe(fc.record({ name: text, parent: text, kind })) }),
  ],
  [
    'imageresolver/v1/imageresolver.proto',
    'imageresolver.v1.ImageResolver',
    'ResolveImage',
    resolved,
  ],
]

for (const [file, service, rpc, messages] of MESSAGES) {
  const ours = loadService(file, service)[rpc]
  const theirs = (
    loadSync(file, {
      includeDirs: [folder],
      longs: String,
      enums: String,
      defaults: true,
      arrays: true,
      objects: true,
    })[service] as ServiceDefinition
  )[rpc]
  assert.ok(ours && theirs)

  test(`an answer to ${service}/${rpc} is written and read as by protobufjs`, () => {
    fc.assert(
      fc.property(messages, (message) => {
        const written = ours.responseSerialize(message)

        assert.deepEqual(written, theirs.responseSerialize(message))
        assert.deepEqual(ours.responseDeserialize(written), theirs.responseDeserialize(written))
      }),
    )
  })

  test(`of any bytes an answer to ${service}/${rpc} is read, or they are refused as malformed`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (any) => {
        try {
          ours.responseDeserialize(Buffer.from(any))
        } catch (error) {
          assert.ok(error instanceof MalformedMessageError)
        }
      }),
      { numRuns: 1_000 },
    )
  })
}
