import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import type { ResolveResponse } from '../../api/v1/resolve.ts'
import { loadService } from '../../src/runtime/protos.ts'
import { buildImage, buildIndex } from '../support/images.ts'
import { startTestNode, type TestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const ARM = { os: 'linux', architecture: 'arm64' }

async function resolve(node: TestNode, query: string): Promise<ResolveResponse> {
  const { status: code, body } = await node.get(`/resolve?${query}`)
  assert.equal(code, 200, JSON.stringify(body))
  return body
}

/** ResolveImage on the CRI socket. */
async function resolveImage(node: TestNode, reference: string): Promise<Record<string, unknown>> {
  const { ResolveImage: method } = loadService(
    'imageresolver/v1/imageresolver.proto',
    'imageresolver.v1.ImageResolver',
  )
  assert.ok(method)
  const request = method.requestSerialize({ reference, explain: true })
  const { response } = await node.kubelet.raw(method.path, request)
  return method.responseDeserialize(response) as Record<string, unknown>
}

test('a tag is resolved to the digest of the config in its manifest, then from the cache', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildIndex([buildImage(), buildImage({ platform: ARM })])
  const arm = image.children[1]
  await node.push('library/nginx', '1.27', image)

  const first = await resolve(node, 'ref=nginx:1.27')
  const second = await resolve(node, 'ref=nginx:1.27')
  const byDigest = await resolve(node, `ref=nginx@${image.digest}`)
  const other = await resolve(node, 'ref=nginx:1.27&platform=linux/arm64')

  assert.equal(first.imageId, image.imageId)
  assert.equal(first.digest, image.digest)
  assert.equal(first.manifestDigest, image.children[0]?.digest)
  assert.equal(first.reference, 'docker.io/library/nginx:1.27')
  assert.equal(first.source, 'registry')
  assert.equal(first.registry, node.first.host)
  assert.deepEqual(first.references[0], {
    reference: `${node.first.host}/library/nginx@${image.digest}`,
    kind: 'digest',
    registry: node.first.host,
    priority: 1000,
    verified: true,
  })
  assert.equal(second.source, 'cache')
  assert.equal(byDigest.imageId, first.imageId)
  assert.equal(byDigest.digest, first.digest)
  assert.equal(byDigest.expiresAt, null)
  assert.equal(other.imageId, arm?.imageId)
  assert.deepEqual(
    node.first.requests.map(({ method, path }) => `${method} ${path}`),
    [
      'GET /v2/library/nginx/manifests/1.27',
      `GET /v2/library/nginx/manifests/${image.children[0]?.digest}`,
      `HEAD /v2/library/nginx/manifests/${image.digest}`,
      'GET /v2/library/nginx/manifests/1.27',
      `GET /v2/library/nginx/manifests/${arm?.digest}`,
    ],
  )
})

test('an image that is only on a configured registry has one identity, whatever is asked', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildIndex([buildImage(), buildImage({ platform: ARM })])
  await node.push('library/nginx', 'latest', image)

  const ref = await node.kubelet.pullImage('nginx:latest')
  await checkIdentity()

  await node.registry.stop()
  await node.daemon.stop()
  await node.containerd.restart()
  await node.daemon.start()
  await checkIdentity()
  const answer = await resolveImage(node, 'nginx:latest')
  // From what the cache left on the disk, or from the node when that is too old.
  assert.notEqual(answer['source'], 'registry')
  assert.equal(answer['imageId'], ref)

  async function checkIdentity(): Promise<void> {
    const shortId = ref.slice('sha256:'.length, 'sha256:'.length + 12)
    const forms = [
      'nginx',
      'nginx:latest',
      'docker.io/library/nginx:latest',
      `nginx@${image.digest}`,
      ref,
      shortId,
    ]
    for (const form of forms) {
      const found = await node.kubelet.imageStatus(form)
      assert.equal(found?.id, ref, form)
      assert.deepEqual(found?.repoTags, ['docker.io/library/nginx:latest'])
      assert.deepEqual(found?.repoDigests, [`docker.io/library/nginx@${image.digest}`])
    }
    const listed = await node.kubelet.listImages()
    assert.deepEqual(
      listed.map(({ id }) => id),
      [ref],
    )
    assert.equal(ref, image.imageId)
  }
})

test('ResolveImage names the image before and after it is pulled', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)

  const before = await resolveImage(node, 'nginx')
  const ref = await node.kubelet.pullImage('nginx')
  const after = await resolveImage(node, 'nginx')

  assert.equal(before['imageId'], ref)
  assert.deepEqual(before['node'], { present: false, imageId: '' })
  assert.equal(before['digest'], image.digest)
  assert.equal(before['reference'], 'docker.io/library/nginx:latest')
  assert.equal((before['attempts'] as unknown[]).length, 1)
  assert.deepEqual(after['node'], { present: true, imageId: ref })
})

test('an image is removed by tag, by digest and by ID, at once and with all its names', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)

  for (const by of ['nginx', `nginx@${image.digest}`, image.imageId, image.imageId.slice(7, 19)]) {
    await node.kubelet.pullImage('nginx')

    await node.kubelet.removeImage(by)

    assert.deepEqual(await node.kubelet.listImages(), [], by)
    for (const form of ['nginx', `nginx@${image.digest}`, image.imageId]) {
      assert.equal(await node.kubelet.imageStatus(form), undefined, `${form} after ${by}`)
    }
    await node.kubelet.removeImage(by)
  }
})

test('an empty reference removes nothing, even when there is only one image', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)
  await node.kubelet.pullImage('nginx')

  await assert.rejects(node.kubelet.removeImage(''), { code: status.INVALID_ARGUMENT })
  await assert.rejects(node.kubelet.call('RemoveImage', {}), { code: status.INVALID_ARGUMENT })

  assert.equal((await node.kubelet.imageStatus('nginx'))?.id, image.imageId)
})

test('removing an unknown image is a success and asks no registry', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)

  await node.kubelet.removeImage('nginx:never')
  await node.kubelet.removeImage(`sha256:${'0'.repeat(64)}`)

  assert.deepEqual([...node.first.requests, ...node.second.requests], [])
})

test('v1alpha2 is served like v1', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)
  const { criClient } = await import('../support/cri-client.ts')
  const old = criClient(t, node.daemon.socketPath, 'v1alpha2')

  const ref = await old.pullImage('nginx')
  const found = await old.imageStatus('nginx')

  assert.equal(ref, image.imageId)
  assert.deepEqual(found?.repoTags, ['docker.io/library/nginx:latest'])
  assert.equal((await old.version()).runtimeApiVersion, 'v1alpha2')
  await old.removeImage('nginx')
  assert.deepEqual(await old.listImages(), [])
})
