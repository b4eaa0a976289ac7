import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Containerd, startContainerd } from '../support/containerd.ts'
import { criClient, type TestCriClient } from '../support/cri-client.ts'
import { startDaemon } from '../support/daemon.ts'
import { REGISTRY_USER, startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, buildIndex, pushImage, type TestImage } from '../support/images.ts'
import { within } from '../support/process-state.ts'
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'
import { startTokenServer } from '../support/token-server.ts'

const ARM64 = { os: 'linux', architecture: 'arm64' }
const LIMIT_MS = 60_000
const DOMAIN = 'registry.example.com'

interface Scene {
  readonly containerd: Containerd
  readonly kubelet: TestCriClient
  /** Past us. */
  readonly direct: TestCriClient
  /** `127.0.0.1:port` */
  readonly host: string
  readonly proxy: RegistryProxy
  push(path: string, image: TestImage): Promise<void>
  /** The methods of the requests that the registry has had since. */
  requests(): readonly string[]
}

/** A registry that is a mirror of everything, in front of it a proxy that sees requests. */
async function startScene(
  t: TestContext,
  { auth = false, images = [] as readonly string[] } = {},
): Promise<Scene> {
  const [containerd, registry] = await Promise.all([
    startContainerd(t, images),
    startDockerRegistry(t, { auth }),
  ])
  const proxy: RegistryProxy = await startRegistryProxy(t, registry.url)
  const daemon = await startDaemon(t, {
    cri: containerd.socketPath,
    config: { registries: [{ address: proxy.url }] },
  })
  return {
    containerd,
    kubelet: criClient(t, daemon.socketPath),
    direct: criClient(t, containerd.socketPath),
    host: proxy.host,
    proxy,
    push: (path, image) => pushImage(registry.url, path, '1', image, registry.headers),
    requests: () => {
      const methods = proxy.requests.map(({ method }) => method)
      proxy.clear()
      return methods
    },
  }
}

test('an image that is there and unchanged costs one HEAD, and is not pulled', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { direct, kubelet, push, requests } = await startScene(t)
  const image = buildIndex([buildImage(), buildImage({ platform: ARM64 })])
  await push('team/app', image)
  const byDigest = `${DOMAIN}/team/app@${image.digest}`
  const first = await kubelet.pullImage(`${DOMAIN}/team/app:1`)
  const before = await direct.listImages()

  for (const name of [`${DOMAIN}/team/app:1`, byDigest]) {
    requests()
    const again = await kubelet.pullImage(name)

    assert.equal(again, first)
    assert.deepEqual(requests(), ['HEAD'])
  }
  assert.deepEqual(await direct.listImages(), before)
})

test('what is missing is brought back, as by a pull of containerd', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { containerd, kubelet, push, requests } = await startScene(t)
  const image = buildIndex([buildImage({ seed: 'missing' }), buildImage({ platform: ARM64 })])
  await push('team/missing', image)
  const [manifest] = image.children
  const [config, layer] = manifest?.blobs ?? []
  const name = `${DOMAIN}/team/missing:1`
  await kubelet.pullImage(name)

  for (const blob of [image, manifest, config]) {
    const digest = blob?.digest ?? ''
    await containerd.ctr('content', 'rm', digest)
    requests()
    const id = await kubelet.pullImage(name)

    assert.equal(id, image.imageId)
    assert.ok(requests().length > 1)
    assert.ok((await containerd.ctr('content', 'ls', '-q')).includes(digest))
  }
  const top = await snapshotIn(containerd)
  await containerd.ctr('snapshots', 'rm', top)
  await kubelet.pullImage(name)
  assert.equal(await snapshotIn(containerd), top)

  // Nor does containerd fetch a layer again that is unpacked.
  await containerd.ctr('content', 'rm', layer?.digest ?? '')
  requests()
  await kubelet.pullImage(name)
  assert.deepEqual(requests(), ['HEAD'])
})

async function snapshotIn({ ctr }: Containerd): Promise<string> {
  return /^sha256:\S+/m.exec(await ctr('snapshots', 'ls'))?.[0] ?? ''
}

test('the labels that keep content from being collected are brought back', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { containerd, kubelet, push } = await startScene(t)
  const image = buildImage({ seed: 'labels' })
  await push('team/labels', image)
  const name = `${DOMAIN}/team/labels:1`
  await kubelet.pullImage(name)
  const label = 'containerd.io/gc.ref.content.config'
  await containerd.ctr('content', 'label', image.digest, `${label}=`)

  await kubelet.pullImage(name)

  const listed = (await containerd.ctr('content', 'ls')).split('\n')
  const line = listed.find((each) => each.startsWith(image.digest)) ?? ''
  assert.ok(line.includes(`${label}=${image.imageId}`), line)
})

test('layers that are discarded when they are unpacked are not missed', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const images = ['discard_unpacked_layers = true']
  const { kubelet, push, requests } = await startScene(t, { images })
  await push('team/discarded', buildImage({ seed: 'discarded' }))
  const name = `${DOMAIN}/team/discarded:1`
  const first = await kubelet.pullImage(name)
  requests()

  assert.equal(await kubelet.pullImage(name), first)
  assert.deepEqual(requests(), ['HEAD'])
})

test('a tag that moved is pulled, and a name that was taken away is given again', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { containerd, direct, kubelet, push, requests } = await startScene(t)
  const [before, after] = [buildImage({ seed: 'before' }), buildImage({ seed: 'after' })]
  const name = `${DOMAIN}/team/moving:1`
  await push('team/moving', before)
  await kubelet.pullImage(name)
  await push('team/moving', after)

  assert.equal(await kubelet.pullImage(name), after.imageId)
  const byDigest = `${DOMAIN}/team/moving@${after.digest}`
  await containerd.ctr('images', 'rm', '--sync', byDigest)
  // CRI follows the table of names by events.
  const isGone = async () => (await direct.imageStatus(name))?.repoDigests.length === 0
  assert.ok(await within(LIMIT_MS, isGone), 'containerd lists a name that was taken away')
  await kubelet.pullImage(name)

  assert.deepEqual((await direct.imageStatus(name))?.repoDigests, [byDigest])
  // The other image has this name no more, and its digest is asked for again.
  requests()
  assert.equal(await kubelet.pullImage(`${DOMAIN}/team/moving@${before.digest}`), before.imageId)
  assert.deepEqual(requests(), ['HEAD'])
})

test('another index with the same image is pulled', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { direct, kubelet, push } = await startScene(t)
  const image = buildImage({ seed: 'two indexes' })
  const [one, two] = [buildIndex([image]), buildIndex([image, buildImage({ platform: ARM64 })])]
  const name = `${DOMAIN}/team/indexes:1`
  await push('team/indexes', one)
  await kubelet.pullImage(name)
  await push('team/indexes', two)

  const id = await kubelet.pullImage(name)

  assert.equal(id, image.imageId)
  const digests = [one, two].map(({ digest }) => `${DOMAIN}/team/indexes@${digest}`)
  assert.deepEqual((await direct.imageStatus(name))?.repoDigests.toSorted(), digests.toSorted())
})

test('an image of another platform is pulled as at the runtime itself', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { direct, host, kubelet, push } = await startScene(t)
  await push('team/arm', buildImage({ platform: ARM64, seed: 'arm' }))
  await push('team/arms', buildIndex([buildImage({ platform: ARM64, seed: 'arms' })]))

  for (const path of ['team/arm', 'team/arms']) {
    const pull = (client: TestCriClient, domain: string) =>
      client.pullImage(`${domain}/${path}:1`).catch(() => 'refused')
    const first = await pull(kubelet, DOMAIN)
    const again = await pull(kubelet, DOMAIN)

    assert.deepEqual([first, again], [await pull(direct, host), first])
  }
})

test('a secret that the registry refuses is an error, whatever is on the node', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { host, kubelet, push, requests } = await startScene(t, { auth: true })
  const image = buildImage({ seed: 'private' })
  await push('team/private', image)
  const wrong = { username: REGISTRY_USER.username, password: 'not this one' }

  for (const name of [`${host}/team/private:1`, `${host}/team/private@${image.digest}`]) {
    await kubelet.pullImage(name, REGISTRY_USER)
    requests()
    assert.equal(await kubelet.pullImage(name, REGISTRY_USER), image.imageId)
    assert.deepEqual(requests(), ['HEAD'])

    const elsewhere = { ...REGISTRY_USER, serverAddress: 'https://elsewhere.example.com' }
    for (const auth of [wrong, undefined, elsewhere]) {
      await assert.rejects(kubelet.pullImage(name, auth), /401|[Uu]nauthorized|authoriz/)
    }
    assert.equal(await kubelet.pullImage(name, REGISTRY_USER), image.imageId)
  }
})

const WHOSE = {
  'a secret that was revoked': REGISTRY_USER,
  'an image that is no more public': undefined,
}

for (const [what, auth] of Object.entries(WHOSE)) {
  test(`${what} is an error while a token of an earlier pull is valid`, async (t) => {
    if (!requireStack(t, RUNTIME_PROGRAMS)) return
    const { host, kubelet, proxy, push } = await startScene(t)
    const image = buildImage({ seed: 'revoked' })
    await push('team/revoked', image)
    let isRevoked = false
    const tokens = await startTokenServer(t, {
      expiresIn: 3_600,
      // containerd tries the POST form first, whose answers have another field.
      answer: ({ method }) => (isRevoked || method === 'POST' ? { status: 401 } : undefined),
    })
    const challenge = tokens.challenge.replace('user/image', 'team/revoked')
    proxy.behave(({ headers }) => {
      const [, token = ''] = headers.authorization?.split('Bearer ') ?? []
      if (tokens.accepts(token, 'team/revoked')) return { kind: 'forward' }
      return { kind: 'answer', status: 401, headers: { 'www-authenticate': challenge } }
    })
    const name = `${host}/team/revoked:1`
    await kubelet.pullImage(name, auth)
    const before = tokens.questions.length
    assert.equal(await kubelet.pullImage(name, auth), image.imageId)
    assert.equal(tokens.questions.length, before + 1)

    isRevoked = true

    await assert.rejects(kubelet.pullImage(name, auth), /401|[Uu]nauthorized|authoriz/)
  })
}

test('a pull for a runtime class is left to the runtime', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { kubelet, push, requests } = await startScene(t)
  await push('team/class', buildImage({ seed: 'class' }))
  const image = { image: `${DOMAIN}/team/class:1` }
  await kubelet.call('PullImage', { image })
  requests()

  await kubelet.call('PullImage', { image: { ...image, annotations: { any: 'thing' } } })
  assert.deepEqual(requests(), ['HEAD'])
  const annotations = { 'io.containerd.cri.runtime-handler': 'runc' }
  await kubelet.call('PullImage', { image: { ...image, annotations } })

  assert.ok(requests().length > 1)
})
