import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { isRuntimeError } from '../../src/runtime/call.ts'
import { startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { REGISTRY_USER, startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { type ProxyAction, startRegistryProxy } from '../support/registry-proxy.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

test('the digest of a pinned reference is in the first request of containerd', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { kubelet, proxy, image } = await startNode(t)

  await kubelet.pullImage(`${proxy.host}/library/x@${image.digest}`)

  const [first] = proxy.requests
  assert.equal(first?.method, 'HEAD')
  assert.equal(first?.path, `/v2/library/x/manifests/${image.digest}`)
  assert.equal(first?.headers.host, proxy.host)
})

/** Of the pull that nothing else would end. On a busy machine containerd does not come to ask the registry by then. */
const DEADLINE_MS = 2_000
const FAILURES: readonly (readonly [string, ProxyAction, ...status[]])[] = [
  ['answers 404', { kind: 'answer', status: 404 }, status.NOT_FOUND],
  ['answers 401', { kind: 'answer', status: 401 }, status.UNKNOWN],
  ['answers 500', { kind: 'answer', status: 500 }, status.UNKNOWN],
  ['cuts connections', { kind: 'cut' }, status.UNKNOWN],
  // containerd 2.3 sees the deadline, too, and may be the first to end the call.
  ['hangs', { kind: 'hang' }, status.DEADLINE_EXCEEDED, status.CANCELLED],
]

for (const [what, action, ...codes] of FAILURES) {
  const names = codes.map((code) => status[code]).join(' or ')
  test(`a pull from a registry that ${what} fails with ${names}`, async (t) => {
    if (!requireStack(t, RUNTIME_PROGRAMS)) return
    const { kubelet, proxy } = await startNode(t)
    proxy.behave(action)

    for (let deadlineMs = DEADLINE_MS; proxy.requests.length === 0; deadlineMs *= 2) {
      const limit = action.kind === 'hang' ? { deadlineMs } : {}
      const pull = kubelet.pullImage(`${proxy.host}/library/x:latest`, undefined, limit)

      await assert.rejects(pull, (error) => {
        assert.ok(isRuntimeError(error))
        assert.ok(codes.includes(error.code), String(error))
        return true
      })
    }
  })
}

test('a pinned image whose bytes were changed on the way is not taken', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { kubelet, proxy, image } = await startNode(t)
  proxy.behave(({ method, path }) =>
    method === 'GET' && path.includes('/manifests/')
      ? { kind: 'tamper', body: (body) => Buffer.from(body.toString().replace('layers', 'Layers')) }
      : { kind: 'forward' },
  )

  const pull = kubelet.pullImage(`${proxy.host}/library/x@${image.digest}`)

  await assert.rejects(pull, /failed/)
  assert.deepEqual(await kubelet.listImages(), [])
})

test('a registry that was refusing serves again on the same port', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { kubelet, proxy, image } = await startNode(t)
  const name = `${proxy.host}/library/x:latest`
  await proxy.refuse()

  await assert.rejects(kubelet.pullImage(name), /connection refused/)
  const requestsWhileRefusing = proxy.requests.length
  await proxy.accept()
  const id = await kubelet.pullImage(name)

  assert.equal(requestsWhileRefusing, 0)
  assert.equal(id, image.imageId)
})

test('a registry that wants credentials serves those who have them, across a restart', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { kubelet, registry, image } = await startNode(t, { auth: true })
  const name = `${registry.host}/library/x:latest`
  await registry.stop()
  await registry.start()

  const anonymous = kubelet.pullImage(name)
  await assert.rejects(anonymous, /401 Unauthorized|authorization failed/)
  const id = await kubelet.pullImage(name, { ...REGISTRY_USER, serverAddress: registry.url })

  assert.equal(id, image.imageId)
})

async function startNode(t: TestContext, options: { readonly auth?: boolean } = {}) {
  const [containerd, registry] = await Promise.all([
    startContainerd(t),
    startDockerRegistry(t, options),
  ])
  const image = buildImage()
  await pushImage(registry.url, 'library/x', 'latest', image, registry.headers)
  const proxy = await startRegistryProxy(t, registry.url)
  return { registry, proxy, image, kubelet: criClient(t, containerd.socketPath) }
}
