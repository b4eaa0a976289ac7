import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createRewrite } from '../../../../src/cri/rewrite/rewrite.ts'
import {
  readMessage,
  readString,
  readStrings,
  withBytes,
  withString,
  withStrings,
} from '../../../../src/cri/wire.ts'
import { testAliases } from '../../../support/aliases.ts'
import { framed, unframed } from '../../../support/grpc-frames.ts'

const D = `sha256:${'d'.repeat(64)}`
const HEX = 'a'.repeat(64)
const MIRROR = `m:5000/library/x@${D}`
const TAG = 'docker.io/library/x:1'
const BY_DIGEST = `docker.io/library/x@${D}`
const NOTHING: Uint8Array = new Uint8Array()

interface Passed {
  readonly request: Buffer
  readonly response: Buffer
}

async function scene(t: TestContext) {
  const test = testAliases(t)
  await test.store.record({
    image: HEX,
    names: [{ name: TAG }, { name: BY_DIGEST }],
    mirror: MIRROR,
  })
  const rewrite = createRewrite(test.aliases, { warn: assert.fail, error: assert.fail })
  const pass = (rpc: string, request: Uint8Array, response: Uint8Array): Passed => {
    const edits = rewrite(rpc)
    const one = (bytes: Uint8Array, side: 'request' | 'response'): Buffer => {
      const frame = framed(Buffer.from(bytes))
      const [message] = unframed(edits?.[side]?.chunk(frame) ?? frame)
      return message ?? assert.fail('no message came out')
    }
    const passed = { request: one(request, 'request'), response: one(response, 'response') }
    edits?.ended?.(0)
    return passed
  }
  return { ...test, rewrite, pass }
}

const text = (field: number, value: string, message = NOTHING) => withString(message, field, value)
const spec = (image: string) => text(99, 'unknown', text(18, 'as written', text(1, image)))
const image = (id: string, tags: string[], digests: string[]) =>
  text(99, 'unknown', withStrings(withStrings(text(1, id), 2, tags), 3, digests))
const images = (...each: Uint8Array[]) =>
  Buffer.concat(each.map((one) => withBytes(NOTHING, 1, one)))
const V1 = '/runtime.v1'

test('lists show images by the names that were asked for', async (t) => {
  const { pass } = await scene(t)
  const list = images(image(HEX, ['z.io/x:1'], [MIRROR]), image('other', ['y:1'], []))

  for (const rpc of [
    'runtime.v1.ImageService/ListImages',
    'runtime.v1.ImageService/StreamImages',
  ]) {
    const { response } = pass(`/${rpc}`, NOTHING, list)

    assert.deepEqual(
      response,
      images(image(HEX, [TAG, 'z.io/x:1'], [BY_DIGEST]), image('other', ['y:1'], [])),
    )
  }
})

test('a filter by a name of ours finds that image, and no other', async (t) => {
  const { pass, aliases } = await scene(t)
  const filter = text(98, 'kept', withBytes(NOTHING, 1, text(1, 'x:1')))
  const list = images(image('other', ['y:1'], []), image(HEX, ['z.io/x:1'], [MIRROR]))

  const { request, response } = pass(
    '/runtime.v1alpha2.ImageService/ListImages',
    withBytes(NOTHING, 1, filter),
    list,
  )

  assert.deepEqual(request, withBytes(NOTHING, 1, text(98, 'kept')))
  assert.deepEqual(response, images(image(HEX, [TAG, 'z.io/x:1'], [BY_DIGEST])))
  assert.equal(aliases.isEmpty(), false)
})

test('a filter by any other name goes to the runtime, and its answer is no whole list', async (t) => {
  const { pass, store } = await scene(t)
  const request = withBytes(NOTHING, 1, withBytes(NOTHING, 1, text(1, 'y:1')))

  const passed = pass(`${V1}.ImageService/ListImages`, request, images(image('other', ['y:1'], [])))

  assert.deepEqual(passed.request, request)
  assert.equal(store.get(TAG)?.image, HEX)
})

test('a whole list without an image takes its names away', async (t) => {
  const { pass, store } = await scene(t)

  pass(`${V1}.ImageService/ListImages`, NOTHING, images(image('other', ['y:1'], [])))

  assert.equal(store.get(TAG), undefined)
})

test('a list that did not come to its end takes nothing away', async (t) => {
  const { rewrite, store } = await scene(t)
  const edits = rewrite(`${V1}.ImageService/ListImages`)

  edits?.ended?.(14)

  assert.equal(store.get(TAG)?.image, HEX)
})

test('containers run what was asked for, and their IDs stay', async (t) => {
  const { pass } = await scene(t)
  const container = (name: string, ref: string) =>
    text(10, HEX, text(5, ref, withBytes(text(1, 'container'), 4, spec(name))))
  const status = (name: string, ref: string) =>
    text(17, HEX, text(9, ref, withBytes(text(1, 'container'), 8, spec(name))))
  const event = (name: string, ref: string) => withBytes(text(1, 'id'), 5, status(name, ref))
  const sandbox = (name: string, ref: string) => withBytes(NOTHING, 3, status(name, ref))
  const calls: [string, (name: string, ref: string) => Uint8Array][] = [
    ['ListContainers', (name, ref) => images(container(name, ref))],
    ['StreamContainers', (name, ref) => images(container(name, ref))],
    ['ContainerStatus', (name, ref) => images(status(name, ref))],
    ['PodSandboxStatus', sandbox],
    ['GetContainerEvents', event],
  ]

  for (const [rpc, message] of calls) {
    const path = `${V1}.RuntimeService/${rpc}`
    const named = pass(path, NOTHING, message(MIRROR, MIRROR)).response
    const byId = pass(path, NOTHING, message(HEX, HEX)).response

    assert.deepEqual(named, Buffer.from(message(TAG, BY_DIGEST)), rpc)
    assert.deepEqual(byId, Buffer.from(message(HEX, HEX)), rpc)
  }
})

test('an image volume is called by its name as well', async (t) => {
  const { pass } = await scene(t)
  const volume = (name: string, ref: string) =>
    images(withBytes(NOTHING, 14, withBytes(text(1, '/mnt'), 9, text(20, ref, text(1, name)))))

  const { response } = pass(`${V1}.RuntimeService/ContainerStatus`, NOTHING, volume(MIRROR, MIRROR))

  assert.deepEqual(response, volume(TAG, BY_DIGEST))
})

test('a container that is asked for by a name of ours is made by the ID', async (t) => {
  const { pass } = await scene(t)
  const config = (name: string) =>
    withBytes(withBytes(text(1, 'meta'), 2, spec(name)), 7, withBytes(NOTHING, 9, text(1, name)))
  const create = (name: string) => withBytes(text(1, 'sandbox'), 2, config(name))
  const restore = (name: string) => withBytes(NOTHING, 5, config(name))

  for (const [rpc, message] of [
    ['CreateContainer', create],
    ['RestorePod', restore],
  ] as const) {
    const path = `${V1}.RuntimeService/${rpc}`

    assert.deepEqual(pass(path, message('x:1'), NOTHING).request, Buffer.from(message(HEX)))
    assert.deepEqual(pass(path, message(HEX), NOTHING).request, Buffer.from(message(HEX)))
    assert.deepEqual(pass(path, message('y:1'), NOTHING).request, Buffer.from(message('y:1')))
  }
})

test('nothing is looked into where the runtime keeps the names, nor in calls without names', async (t) => {
  const { rewrite, route } = await scene(t)

  for (const path of [
    `${V1}.RuntimeService/Status`,
    `${V1}.RuntimeService/Exec`,
    '/grpc.health.v1.Health/Check',
    '',
  ]) {
    assert.equal(rewrite(path), undefined, path)
  }
  route('runtime')
  for (const rpc of ['ImageService/ListImages', 'RuntimeService/GetContainerEvents']) {
    assert.equal(rewrite(`${V1}.${rpc}`), undefined, rpc)
  }
  route(undefined)
  assert.notEqual(rewrite(`${V1}.RuntimeService/GetContainerEvents`), undefined)
})

test('the spec of an image is translated, and fields that nobody knows are kept', async (t) => {
  const { pass } = await scene(t)

  const { response } = pass(
    `${V1}.ImageService/ListImages`,
    NOTHING,
    images(withBytes(image(HEX, ['z.io/x:1'], [MIRROR]), 7, text(1, MIRROR))),
  )

  const listed = readMessage(response, 1) ?? NOTHING
  assert.deepEqual(readStrings(listed, 2), [TAG, 'z.io/x:1'])
  assert.equal(readString(readMessage(listed, 7) ?? NOTHING, 1), TAG)
  assert.equal(readString(listed, 99), 'unknown')
})
