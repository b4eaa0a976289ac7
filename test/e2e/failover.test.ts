import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import type { ResolveResponse } from '../../api/v1/resolve.ts'
import type { RuntimeError } from '../../src/runtime/call.ts'
import { BY_DEFAULT } from '../support/daemon.ts'
import { buildImage, buildIndex } from '../support/images.ts'
import { startTestNode, type TestNode } from '../support/node.ts'
import type { ProxyAction, RecordedRequest } from '../support/registry-proxy.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

type Behaviour = ProxyAction | ((request: RecordedRequest) => ProxyAction) | 'refuse'

const forward: ProxyAction = { kind: 'forward' }
const answer = (code: number, headers = {}): ProxyAction => ({
  kind: 'answer',
  status: code,
  headers,
  body: '<html>not what a client expects</html>',
})
const isBlob = ({ path }: RecordedRequest): boolean => path.includes('/blobs/')

const FAULTS: Readonly<Record<string, Behaviour>> = {
  'refuses connections': 'refuse',
  'answers 404': answer(404),
  'answers 401': answer(401, { 'www-authenticate': 'Basic realm="closed"' }),
  'answers 403': answer(403),
  'answers 429': answer(429, { 'retry-after': '30' }),
  'answers 500': answer(500),
  'takes the request and never answers': { kind: 'hang' },
  'cuts the connection': { kind: 'cut' },
  'answers with other bytes than its digest says': {
    kind: 'tamper',
    body: (body) => Buffer.concat([body, Buffer.from(' ')]),
  },
  'has the manifest and fails at the layers': (request) =>
    isBlob(request) ? answer(500) : forward,
  'dies in the middle of the pull': (request) => (isBlob(request) ? { kind: 'cut' } : forward),
}

/** Each fault is met by a service that knows nothing of the ones before. */
async function fresh(node: TestNode): Promise<void> {
  await node.daemon.stop()
  await node.daemon.start()
  for (const proxy of [node.first, node.second]) {
    proxy.behave(forward)
    proxy.clear()
  }
}

async function misbehave(proxy: TestNode['first'], behaviour: Behaviour): Promise<void> {
  if (behaviour === 'refuse') await proxy.refuse()
  else proxy.behave(behaviour)
}

async function failure(pull: Promise<string>): Promise<RuntimeError> {
  return pull.then(
    () => assert.fail('the pull succeeded'),
    (error: unknown) => error as RuntimeError,
  )
}

test('the next registry is used when the first', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t, BY_DEFAULT)
  let number = 0

  for (const [fault, behaviour] of Object.entries(FAULTS)) {
    await t.test(fault, async () => {
      await fresh(node)
      number += 1
      const path = `library/fault${number}`
      const image = buildImage({ seed: fault })
      await node.push(path, 'latest', image)
      // A wrong digest is only to be seen where the digest is what is asked for.
      const asked = fault.includes('other bytes')
        ? `fault${number}@${image.digest}`
        : `fault${number}`
      await misbehave(node.first, behaviour)

      const ref = await node.kubelet.pullImage(asked)

      await node.first.accept()
      const found = await node.kubelet.imageStatus(ref)
      assert.equal(ref, image.imageId)
      assert.deepEqual(found?.repoDigests, [`docker.io/${path}@${image.digest}`])
      const tags = asked.includes('@') ? [] : [`docker.io/${path}:latest`]
      assert.deepEqual(found?.repoTags, tags)
      assert.ok(node.second.requests.length > 0)
    })
  }
})

test('when everything is down', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { probeBudget } = BY_DEFAULT
  const node = await startTestNode(t, { probeBudget })
  const image = `${node.registry.host}/team/app:1`
  await node.registry.stop()

  await t.test("the runtime's own error comes back, its code, and its text first", async () => {
    await fresh(node)
    await node.first.refuse()
    await node.second.refuse()

    const ours = await failure(node.kubelet.pullImage(image))
    const direct = await failure(node.direct.pullImage(image))

    await node.first.accept()
    await node.second.accept()
    assert.equal(ours.code, direct.code)
    assert.ok(ours.details.startsWith(`${direct.details}; image-resolver: `), ours.details)
    assert.match(ours.details, /failed to pull and unpack image "127\.0\.0\.1:\d+\/team\/app:1"/)
  })

  await t.test(
    'registries that never answer are given up, and asked again the next time',
    async () => {
      await fresh(node)
      node.first.behave({ kind: 'hang' })
      node.second.behave({ kind: 'hang' })

      const first = await failure(node.kubelet.pullImage(image))
      const second = await failure(node.kubelet.pullImage(image))

      assert.ok(node.first.requests.length > 0 && node.second.requests.length > 0)
      assert.deepEqual([first.code, second.code], [status.UNKNOWN, status.UNKNOWN])
    },
  )

  await t.test('a cancelled pull ends at once and starts nothing more', async () => {
    await fresh(node)
    const controller = new AbortController()
    const waiting = new Promise<void>((resolve) => {
      node.first.behave(() => {
        resolve()
        return { kind: 'hang' }
      })
    })
    node.second.behave({ kind: 'hang' })

    const pull = node.kubelet.pullImage('slow', undefined, { signal: controller.signal })
    await waiting
    const asked = node.second.requests.length
    controller.abort()
    await assert.rejects(pull)

    const { body } = await node.get('/livez')
    assert.deepEqual(body, { status: 'live' })
    assert.equal(node.second.requests.length, asked)
  })
})

test("when everything is down, an image that another shim left under a mirror's name is used", async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const origin = node.registry.host
  const image = buildImage()
  await node.push('team/app', '1', image)
  await node.direct.pullImage(`${node.first.host}/team/app:1`)
  await node.first.refuse()
  await node.second.refuse()
  await node.registry.stop()

  const ref = await node.kubelet.pullImage(`${origin}/team/app:1`)

  assert.equal(ref, image.imageId)
  const found = await node.kubelet.imageStatus(`${origin}/team/app:1`)
  assert.equal(found?.id, ref)
})

test('a reference that nobody is configured for goes to the runtime as it came', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t, { address: undefined, registries: [] })
  const image = buildImage()
  await node.push('team/app', '1', image)

  const ref = await node.kubelet.pullImage(`${node.registry.host}/team/app:1`)

  assert.equal(ref, image.imageId)
  const [only] = await node.direct.listImages()
  assert.deepEqual(only?.repoTags, [`${node.registry.host}/team/app:1`])
})

test('the digest of a pinned reference is in every request that leaves', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildIndex([
    buildImage(),
    buildImage({ platform: { os: 'linux', architecture: 's390x' } }),
  ])
  await node.push('library/pinned', 'latest', image)
  await node.push('library/pinned', 'latest', buildImage({ seed: 'the tag has moved since' }))
  const known = [image, ...image.children].map(({ digest }) => digest)

  const ref = await node.kubelet.pullImage(`pinned:latest@${image.digest}`)

  assert.equal(ref, image.imageId)
  const manifests = [...node.first.requests, ...node.second.requests]
    .filter(({ path }) => path.includes('/manifests/'))
    .map(({ path }) => path.split('/').at(-1)?.split('?')[0] ?? '')
  assert.ok(manifests.length > 0)
  assert.deepEqual(
    manifests.filter((asked) => !known.includes(asked)),
    [],
  )
  const found = await node.kubelet.imageStatus(ref)
  assert.deepEqual(found?.repoTags, [])
  assert.deepEqual(found?.repoDigests, [`docker.io/library/pinned@${image.digest}`])
})

test('a registry that has other bytes under a pinned digest is skipped', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage({ seed: 'right' })
  const wrong = buildImage({ seed: 'wrong' })
  await node.push('library/pinned', 'latest', image)
  node.first.behave((request) =>
    request.path.includes('/manifests/') ? { kind: 'tamper', body: () => wrong.bytes } : forward,
  )

  const { status: code, body } = await node.get(`/resolve?ref=pinned@${image.digest}&explain=true`)

  assert.equal(code, 200)
  const { registry, imageId, attempts } = body as ResolveResponse
  assert.equal(registry, node.second.host)
  assert.equal(imageId, image.imageId)
  assert.deepEqual(
    attempts?.map(({ registry: name, outcome }) => `${name} ${outcome}`),
    [`${node.first.host} invalid`, `${node.second.host} ok`],
  )
})

test('what was resolved is what is stored, however the tag moves meanwhile', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const before = buildImage({ seed: 'before' })
  const after = buildImage({ seed: 'after' })
  await node.push('library/moving', 'latest', before)
  let moved: Promise<void> | undefined
  node.first.behave(({ path }) => {
    // The first request by digest is the runtime's: by then the tag has been resolved.
    if (path.includes('sha256:')) moved ??= node.push('library/moving', 'latest', after)
    return forward
  })

  const first = await node.kubelet.pullImage('moving')
  await moved
  const second = await node.kubelet.pullImage('moving')

  assert.ok(moved)
  assert.equal(first, before.imageId)
  assert.equal(second, after.imageId)
  assert.equal((await node.kubelet.imageStatus('moving'))?.id, after.imageId)
  const old = await node.kubelet.imageStatus(before.imageId)
  assert.deepEqual(old?.repoTags, [])
  assert.deepEqual(old?.repoDigests, [`docker.io/library/moving@${before.digest}`])
})
