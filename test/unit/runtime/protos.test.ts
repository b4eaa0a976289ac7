import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadService } from '../../../src/runtime/protos.ts'

const SERVICES = [
  ['runtime/v1/image.proto', 'runtime.v1.ImageService'],
  ['runtime/v1/image.proto', 'runtime.v1.RuntimeService'],
  ['runtime/v1alpha2/image.proto', 'runtime.v1alpha2.ImageService'],
  ['runtime/v1alpha2/image.proto', 'runtime.v1alpha2.RuntimeService'],
  ['containerd/services/images/v1/images.proto', 'containerd.services.images.v1.Images'],
  ['containerd/services/content/v1/content.proto', 'containerd.services.content.v1.Content'],
  [
    'containerd/services/snapshots/v1/snapshots.proto',
    'containerd.services.snapshots.v1.Snapshots',
  ],
  ['imageresolver/v1/imageresolver.proto', 'imageresolver.v1.ImageResolver'],
] as const

for (const [file, service] of SERVICES) {
  test(`${service} is served under its own path`, () => {
    const methods = Object.values(loadService(file, service))

    assert.ok(methods.length > 0)
    for (const method of methods) assert.ok(method.path.startsWith(`/${service}/`), method.path)
  })
}

test('a file is read once', () => {
  const first = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')
  const second = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')

  assert.equal(first, second)
})

test('a service that the file does not have is an error, as is a message', () => {
  for (const name of ['runtime.v1.Nothing', 'runtime.v1.Image']) {
    assert.throws(() => loadService('runtime/v1/image.proto', name), /has no service/)
  }
})

test('a pull request has the field numbers of CRI', () => {
  const method = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')['PullImage']
  const spec = { image: 'a', annotations: { b: 'c' }, userSpecifiedImage: 'd' }
  const image = { ...spec, runtimeHandler: 'e', imageRef: 'f' }
  const credentials = { username: 'g', password: 'h', auth: 'i', serverAddress: 'j' }
  const auth = { ...credentials, identityToken: 'k', registryToken: 'l' }

  const bytes = method?.requestSerialize({ image, auth, sandboxConfig: Buffer.from('m') })

  const onTheWire = [
    ['0a17', '0a0161', '12060a0162120163', '92010164', '9a010165', 'a2010166'],
    ['1212', '0a0167', '120168', '1a0169', '22016a', '2a016b', '32016c'],
    ['1a01', '6d'],
  ]
  assert.equal(bytes?.toString('hex'), onTheWire.flat().join(''))
})

test('an image is read with a size beyond the exact numbers of JavaScript', () => {
  const method = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')['ImageStatus']
  const bytes = Buffer.from('0a0e0a016120ffffffffffffffffff01', 'hex')
  bytes[1] = bytes.length - 2

  const answer = method?.responseDeserialize(bytes) as { image: { id: string; size: string } }

  assert.equal(answer.image.id, 'a')
  assert.equal(answer.image.size, '18446744073709551615')
})
