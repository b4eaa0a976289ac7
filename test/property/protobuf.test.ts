import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import fc from 'fast-check'
import { loadService } from '../../src/runtime/protos.ts'

const includeDirs = [resolve(import.meta.dirname, '../../protos')]
const options = {
  includeDirs,
  longs: String,
  enums: String,
  defaults: true,
  arrays: true,
  objects: true,
}

const text = fc.string({ unit: 'binary', maxLength: 300 })
const texts = fc.array(text, { maxLength: 4 })
// proto-loader takes a `__proto__` for what JavaScript means by it.
const map = fc.dictionary(
  text.filter((key) => key !== '__proto__'),
  text,
  { maxKeys: 3, noNullPrototype: true },
)
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)
const unsignedLong = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)
const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each))
const some = (fields: Record<string, fc.Arbitrary<unknown>>) =>
  fc.record(fields, { requiredKeys: [], noNullPrototype: true })

const spec = some({ image: text, annotations: map, userSpecifiedImage: text, imageRef: text })
const auth = some({ username: text, password: text, serverAddress: text, registryToken: text })
const time = some({ seconds: long, nanos: fc.integer() })
const image = some({
  id: text,
  repoTags: texts,
  repoDigests: texts,
  size: unsignedLong,
  pinned: fc.boolean(),
})
const name = some({ name: text, labels: map, target: some({ mediaType: text, size: long }) })
const attempt = some({ step: text, status: fc.nat(), ms: fc.double(), message: text })

/** File, service, method and what is sent by it, which way. */
const MESSAGES: readonly (readonly [string, string, string, 'request' | 'response', unknown])[] = [
  [
    'runtime/v1/image.proto',
    'runtime.v1.ImageService',
    'PullImage',
    'request',
    some({ image: spec, auth, sandboxConfig: bytes }),
  ],
  [
    'runtime/v1alpha2/image.proto',
    'runtime.v1alpha2.ImageService',
    'ListImages',
    'response',
    some({ images: fc.array(image, { maxLength: 3 }) }),
  ],
  [
    'containerd/services/images/v1/images.proto',
    'containerd.services.images.v1.Images',
    'Update',
    'request',
    some({ image: name, updateMask: some({ paths: texts }) }),
  ],
  [
    'containerd/services/content/v1/content.proto',
    'containerd.services.content.v1.Content',
    'Write',
    'request',
    some({ action: fc.constantFrom('STAT', 'WRITE', 'COMMIT'), ref: text }),
  ],
  [
    'containerd/services/content/v1/content.proto',
    'containerd.services.content.v1.Content',
    'Read',
    'response',
    some({ offset: long, data: bytes }),
  ],
  [
    'imageresolver/v1/imageresolver.proto',
    'imageresolver.v1.ImageResolver',
    'ResolveImage',
    'response',
    some({ imageId: text, resolvedAt: time, attempts: fc.array(attempt, { maxLength: 3 }) }),
  ],
]

for (const [file, service, method, which, arbitrary] of MESSAGES) {
  const ours = loadService(file, service)[method]
  const reference = (
    loadSync(file, options)[service] as Record<string, MethodDefinition<object, object>>
  )[method]

  test(`${method}'s ${which} is on the wire, and read, as proto-loader has it`, () => {
    assert.ok(ours !== undefined && reference !== undefined)
    const isRequest = which === 'request'
    const encode = (each: typeof ours | typeof reference, message: object): Buffer =>
      isRequest ? each.requestSerialize(message) : each.responseSerialize(message)
    const decode = (each: typeof ours | typeof reference, wire: Buffer): object =>
      isRequest ? each.requestDeserialize(wire) : each.responseDeserialize(wire)
    fc.assert(
      fc.property(arbitrary as fc.Arbitrary<object>, (message) => {
        const wire = encode(ours, message)

        assert.equal(wire.toString('hex'), encode(reference, message).toString('hex'))
        const [read, expected] = [ours, reference].map((each) => decode(each, wire))
        assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(expected)))
      }),
    )
  })

  test(`any bytes are read as ${method}'s ${which}, or refused`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (wire) => {
        try {
          ours?.requestDeserialize(Buffer.from(wire))
        } catch (thrown) {
          assert.match((thrown as Error).message, /^not a protobuf message: /)
        }
      }),
    )
  })
}
