import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseReference } from '../../../src/reference/reference.ts'
import { availabilityOf } from '../../../src/resolver/availability.ts'
import {
  type FakeRegistry,
  refuseWith,
  serve,
  withHeaders,
  withoutHead,
} from '../../support/fake-registry.ts'
import { startHubAndOrigin } from '../../support/hub-and-origin.ts'
import { buildImage, buildIndex, content, OCI_MANIFEST } from '../../support/images.ts'
import { AMD64 } from '../../support/registry-images.ts'

const AMD = buildImage({ seed: 'amd' })
const ARM = buildImage({ seed: 'arm', platform: { os: 'linux', architecture: 'arm64' } })
const INDEX = buildIndex([AMD, ARM])
const ARTIFACT = content(OCI_MANIFEST, {
  schemaVersion: 2,
  config: { mediaType: 'application/vnd.example', digest: ARM.digest, size: 1 },
})

/** An offline registry and an origin. */
async function scene(t: TestContext) {
  const { hub, origin, resolver: source } = await startHubAndOrigin(t)
  const reference = (name: string) => parseReference(`${origin.host}/${name}`)
  return { hub, origin, source, reference }
}

test('every state is what the registries say, by one HEAD for each image and registry', async (t) => {
  const { hub, origin, source, reference } = await scene(t)
  const both = [hub, origin]
  const images = {
    everywhere: both,
    'origin-only': [origin],
    'private-only': [hub],
    gone: [],
  } as const
  for (const [name, registries] of Object.entries(images)) {
    for (const registry of registries) registry.put(`team/${name}`, '1', INDEX)
  }
  hub.put('team/different', '1', AMD)
  origin.put('team/different', '1', ARM)
  const behave = (registry: FakeRegistry, repository: string, status: number): void => {
    const before = registry.behaviour
    registry.behaviour = (exchange) =>
      exchange.request.url?.includes(`/${repository}/`)
        ? refuseWith(status)(exchange)
        : before(exchange)
  }
  behave(hub, 'team/denied', 403)
  behave(origin, 'team/denied', 401)
  behave(origin, 'team/unknown', 500)

  const names = [...Object.keys(images), 'different', 'denied', 'unknown']
  for (const name of names) {
    const places = await source.places(reference(`team/${name}:1`))
    assert.equal(availabilityOf(places), name, JSON.stringify(places))
  }

  for (const registry of both) {
    const log = registry.log()
    const heads = log.filter((line) => line.startsWith('HEAD '))
    assert.equal(new Set(heads).size, heads.length, log.join('\n'))
    assert.deepEqual(
      log.filter((line) => line.includes('/blobs/')),
      [],
    )
    // What refuses HEAD may be one that knows GET alone: the answer is then that of the GET.
    const gets = log.filter((line) => line.startsWith('GET ') && line.includes('/manifests/'))
    assert.ok(gets.every((line) => /gone|denied|unknown|private-only|origin-only/.test(line)))
  }
  const sent = both.flatMap((registry) => registry.log())
  const { GET, HEAD } = source.requests()
  assert.equal(HEAD + GET, sent.length)
})

for (const [what, behaviour, asked] of [
  ['answers HEAD', serve, ['HEAD', 'HEAD']],
  ['refuses HEAD', withoutHead, ['HEAD', 'GET', 'GET']],
  [
    'says no digest',
    withHeaders({ 'docker-content-digest': undefined }),
    ['HEAD', 'GET', 'HEAD', 'GET'],
  ],
] as const) {
  test(`an image and an artifact are there by one GET at most: a registry that ${what}`, async (t) => {
    const { hub, source, reference } = await scene(t)
    hub.put('team/image', '1', INDEX)
    hub.putManifest('team/artifact', '1', ARTIFACT)
    hub.behaviour = behaviour

    for (const [name, { digest }] of [
      ['team/image', INDEX],
      ['team/artifact', ARTIFACT],
    ] as const) {
      const places = await source.places(reference(`${name}:1`))
      const place = places.find(({ origin }) => !origin)
      assert.deepEqual([place?.state, place?.digest], ['present', digest])
    }

    assert.deepEqual(
      hub.requests.map(({ method }) => method),
      asked,
    )
  })
}

test('platforms are those of the index, by one GET wherever it is, or of the config', async (t) => {
  const { hub, origin, source, reference } = await scene(t)
  for (const registry of [hub, origin]) registry.put('team/index', '1', INDEX)
  hub.put('team/single', '1', ARM)

  const index = await source.places(reference('team/index:1'), { platforms: [AMD64] })
  const asked = source.requests().GET
  const [single] = await source.places(reference('team/single:1'), { platforms: [AMD64] })

  for (const { platforms } of index) assert.deepEqual(platforms, ['linux/amd64', 'linux/arm64'])
  assert.equal(asked, 1)
  assert.deepEqual(single?.platforms, ['linux/arm64'])
})

test('a registry that wants a pause gets it, and answers', async (t) => {
  const { hub, origin, source, reference } = await scene(t)
  for (const registry of [hub, origin]) registry.put('team/app', '1', INDEX)
  let refusals = 1
  origin.behaviour = (exchange) => {
    refusals -= 1
    if (refusals >= 0) refuseWith(429, { 'retry-after': '0.05' })(exchange)
    else serve(exchange)
  }

  const places = await source.places(reference('team/app:1'))

  assert.equal(availabilityOf(places), 'everywhere')
  assert.equal(origin.log().length, 2)
})

test('a registry that hangs up on everything is asked no more after some times, and others are', async (t) => {
  const { hub, origin, source, reference } = await scene(t)
  hub.put('team/app', '1', INDEX)
  origin.behaviour = ({ response }) => void response.destroy()

  for (let n = 0; n < 20; n += 1) {
    const places = await source.places(reference(`team/app:${n}`))
    assert.equal(availabilityOf(places), 'unknown')
  }

  const heads = (registry: FakeRegistry) =>
    new Set(registry.log().filter((line) => line.startsWith('HEAD'))).size
  assert.deepEqual([heads(hub), heads(origin)], [20, 8])
})

test('when an image was built is read from its config, at the first place that has it', async (t) => {
  const { origin, source, reference } = await scene(t)
  origin.put('team/app', '1', INDEX)

  const of = (digest: string) => source.created(reference('team/app:1'), digest)

  assert.equal(await of(INDEX.digest), '2024-01-01T00:00:00.000Z')
  assert.equal(await of(`sha256:${'0'.repeat(64)}`), undefined)
})
