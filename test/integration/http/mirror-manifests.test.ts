import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  FakeRegistry,
  refuseWith,
  resetMidBody,
  withoutHead,
  wrongBytes,
} from '../../support/fake-registry.ts'
import { buildImage, buildIndex, content, digestOf, OCI_MANIFEST } from '../../support/images.ts'
import { type MirrorReply, place, startMirror } from '../../support/mirror.ts'
import { startTokenServer } from '../../support/token-server.ts'

const IMAGE = buildImage({ seed: 'mirrored' })
const INDEX = buildIndex([IMAGE])
const ARM = { os: 'linux', architecture: 'arm64' }

function codeOf({ body }: MirrorReply): string {
  return JSON.parse(body.toString()).errors[0].code
}

test('the root says that this is a registry', async (t) => {
  const mirror = await startMirror(t, [])

  for (const path of ['/v2/', '/v2', '/v2/?ns=docker.io']) {
    const { status, headers, body } = await mirror.get(path)
    assert.equal(status, 200)
    assert.equal(headers['docker-distribution-api-version'], 'registry/2.0')
    assert.equal(body.toString(), '{}')
  }
})

test('a tag is found by the resolver, and its manifest comes as it is stored', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', INDEX)
  const mirror = await startMirror(t, [place(registry)])

  const reply = await mirror.get('/v2/library/app/manifests/1?ns=docker.io')

  assert.equal(reply.status, 200)
  assert.deepEqual(reply.body, INDEX.bytes)
  assert.equal(reply.headers['content-type'], INDEX.mediaType)
  assert.equal(reply.headers['docker-content-digest'], INDEX.digest)
  assert.equal(reply.headers['content-length'], String(INDEX.bytes.length))
  assert.equal(reply.headers['oci-namespace'], 'docker.io')
})

test('a HEAD of a tag that is known asks nobody', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', INDEX)
  const mirror = await startMirror(t, [place(registry)])
  await mirror.ask('HEAD', '/v2/library/app/manifests/1')
  const asked = registry.requests.length

  const reply = await mirror.ask('HEAD', '/v2/library/app/manifests/1')

  assert.equal(registry.requests.length, asked)
  assert.equal(reply.status, 200)
  assert.equal(reply.body.length, 0)
  assert.equal(reply.headers['content-type'], INDEX.mediaType)
  assert.equal(reply.headers['docker-content-digest'], INDEX.digest)
  assert.equal(reply.headers['content-length'], String(INDEX.bytes.length))
})

test('whom nothing but fresh will do makes the tag be asked for again', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', IMAGE)
  const mirror = await startMirror(t, [place(registry)])
  await mirror.ask('HEAD', '/v2/library/app/manifests/1')
  registry.put('library/app', '1', INDEX)

  const kept = await mirror.ask('HEAD', '/v2/library/app/manifests/1')
  const fresh = await mirror.ask('HEAD', '/v2/library/app/manifests/1', {
    'cache-control': 'no-cache',
  })

  assert.equal(kept.headers['docker-content-digest'], IMAGE.digest)
  assert.equal(fresh.headers['docker-content-digest'], INDEX.digest)
})

test('a manifest comes by its digest, GET and HEAD, and by its name in docker.io without ns', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', undefined, INDEX)
  const mirror = await startMirror(t, [place(registry)])
  const path = `/v2/app/manifests/${IMAGE.digest}`

  const got = await mirror.get(path)
  const head = await mirror.ask('HEAD', path)

  assert.deepEqual(got.body, IMAGE.bytes)
  assert.deepEqual([head.status, head.body.length], [200, 0])
  for (const header of ['content-type', 'content-length', 'docker-content-digest', 'etag']) {
    assert.equal(head.headers[header], got.headers[header])
  }
  assert.equal(got.headers['docker-content-digest'], IMAGE.digest)
  assert.equal(got.headers['oci-namespace'], undefined)
})

test('a registry that does not know HEAD is asked by GET', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', undefined, IMAGE)
  registry.behaviour = withoutHead
  const mirror = await startMirror(t, [place(registry)])

  const head = await mirror.ask('HEAD', `/v2/library/app/manifests/${IMAGE.digest}`)

  assert.equal(head.status, 200)
  assert.equal(head.headers['content-length'], String(IMAGE.bytes.length))
})

test('a manifest of other bytes than its digest says is never passed on', async (t) => {
  const [first, second] = [await FakeRegistry.start(t), await FakeRegistry.start(t)]
  for (const each of [first, second]) each.put('library/app', undefined, IMAGE)
  first.behaviour = wrongBytes
  const mirror = await startMirror(t, [place(first, { priority: 900 }), place(second)])
  const path = `/v2/library/app/manifests/${IMAGE.digest}`

  const reply = await mirror.get(path)
  second.behaviour = wrongBytes
  const none = await mirror.get(path)

  assert.deepEqual(reply.body, IMAGE.bytes)
  assert.deepEqual([none.status, codeOf(none)], [502, 'DIGEST_INVALID'])
})

test('the next registry is asked when one has nothing, is broken, or breaks off', async (t) => {
  const second = await FakeRegistry.start(t)
  second.put('library/app', undefined, IMAGE)
  const path = `/v2/library/app/manifests/${IMAGE.digest}`

  for (const behaviour of [refuseWith(404), refuseWith(401), refuseWith(500), resetMidBody]) {
    const first = await FakeRegistry.start(t)
    first.put('library/app', undefined, IMAGE)
    first.behaviour = behaviour
    const mirror = await startMirror(t, [place(first, { priority: 900 }), place(second)])

    const reply = await mirror.get(path)

    assert.equal(reply.body.toString(), IMAGE.bytes.toString())
    assert.equal(first.requests.length, 1)
  }
})

test('a registry that failed is left alone for a while', async (t) => {
  const [first, second] = [await FakeRegistry.start(t), await FakeRegistry.start(t)]
  second.put('library/app', undefined, INDEX)
  first.behaviour = refuseWith(500)
  const mirror = await startMirror(t, [place(first, { priority: 900 }), place(second)])
  await mirror.get(`/v2/library/app/manifests/${INDEX.digest}`)

  await mirror.get(`/v2/library/app/manifests/${IMAGE.digest}`)

  assert.equal(first.requests.length, 1)
  assert.ok(mirror.health.isResting(first.host, 'library/app'))
  assert.equal(mirror.health.report(second.host).state, 'closed')
})

test('what is there for another platform, and what is no image, can be pulled by tag too', async (t) => {
  const registry = await FakeRegistry.start(t)
  const foreign = buildIndex([buildImage({ platform: ARM })])
  const chart = content(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: {
      mediaType: 'application/vnd.cncf.helm.config.v1+json',
      digest: digestOf('c'),
      size: 1,
    },
    layers: [],
  })
  registry.put('team/arm', '1', foreign)
  registry.putManifest('team/chart', '1', chart)
  const mirror = await startMirror(t, [place(registry)])

  const [arm, helm] = [
    await mirror.get('/v2/team/arm/manifests/1'),
    await mirror.get('/v2/team/chart/manifests/1'),
  ]
  const head = await mirror.ask('HEAD', '/v2/team/chart/manifests/1')

  assert.equal(arm.body.toString(), foreign.bytes.toString())
  assert.deepEqual(helm.body, chart.bytes)
  assert.equal(helm.headers['docker-content-digest'], chart.digest)
  assert.equal(head.headers['docker-content-digest'], chart.digest)
})

test('a client gets no type that it did not accept', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', INDEX)
  const mirror = await startMirror(t, [place(registry)])
  const ask = (accept: string) => mirror.get('/v2/library/app/manifests/1', { accept })

  const refused = await ask(IMAGE.mediaType)

  assert.deepEqual([refused.status, codeOf(refused)], [404, 'MANIFEST_UNKNOWN'])
  for (const accept of ['*/*', `text/plain, ${INDEX.mediaType};q=0.5`, 'application/*']) {
    assert.equal((await ask(accept)).status, 200)
  }
})

test('who has it already is told so', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', INDEX)
  const mirror = await startMirror(t, [place(registry)])

  const reply = await mirror.get('/v2/library/app/manifests/1', {
    'if-none-match': `"${INDEX.digest}"`,
  })

  assert.deepEqual([reply.status, reply.body.length], [304, 0])
})

test('each registry gets its own credentials, and nobody those of the client', async (t) => {
  const tokens = await startTokenServer(t)
  const open = await FakeRegistry.start(t)
  const closed = await FakeRegistry.start(t, { auth: { kind: 'bearer', ...tokens } })
  closed.put('library/app', '1', IMAGE)
  const credentials = { kind: 'basic', username: 'node', password: 'own' } as const
  const mirror = await startMirror(t, [
    place(open, { priority: 900 }),
    place(closed, { credentials }),
  ])
  const authorization = `Basic ${Buffer.from('pod:secret').toString('base64')}`

  const reply = await mirror.get('/v2/library/app/manifests/1', { authorization })

  assert.equal(reply.status, 200)
  assert.ok(open.requests.length > 0)
  assert.ok(open.requests.every(({ headers }) => headers.authorization === undefined))
  assert.ok(closed.requests.every(({ headers }) => headers.authorization !== authorization))
  const own = `Basic ${Buffer.from('node:own').toString('base64')}`
  assert.deepEqual(new Set(tokens.questions.map((each) => each.authorization)), new Set([own]))
})

test('credentials that are missing here are not asked of the client', async (t) => {
  const registry = await FakeRegistry.start(t, {
    auth: { kind: 'basic', username: 'a', password: 'b' },
  })
  const mirror = await startMirror(t, [place(registry)])

  const reply = await mirror.get(`/v2/library/app/manifests/${IMAGE.digest}`)

  assert.deepEqual([reply.status, codeOf(reply)], [403, 'DENIED'])
  assert.equal(reply.headers['www-authenticate'], undefined)
})

test('a registry that may only resolve, or is not trusted, serves nothing', async (t) => {
  const [names, strange] = [await FakeRegistry.start(t), await FakeRegistry.start(t)]
  for (const each of [names, strange]) each.put('library/app', '1', IMAGE)
  const mirror = await startMirror(t, [
    place(names, { capabilities: ['resolve'] }),
    place(strange, { trusted: false }),
  ])

  const tag = await mirror.ask('HEAD', '/v2/library/app/manifests/1')
  const manifest = await mirror.get('/v2/library/app/manifests/1')
  const blob = await mirror.get(`/v2/library/app/blobs/${IMAGE.imageId}`)

  assert.equal(tag.headers['docker-content-digest'], IMAGE.digest)
  assert.deepEqual([manifest.status, codeOf(manifest)], [403, 'DENIED'])
  assert.deepEqual([blob.status, codeOf(blob)], [403, 'DENIED'])
  assert.equal(strange.requests.length, 0)
})

test('a registry that may only pull is asked by digest alone', async (t) => {
  const [bytes, names] = [await FakeRegistry.start(t), await FakeRegistry.start(t)]
  bytes.put('library/app', '1', buildImage({ seed: 'a stranger' }))
  bytes.put('library/app', undefined, IMAGE)
  names.put('library/app', '1', IMAGE)
  const mirror = await startMirror(t, [
    place(bytes, { priority: 900, capabilities: ['pull'] }),
    place(names),
  ])

  const reply = await mirror.get('/v2/library/app/manifests/1')

  assert.deepEqual(reply.body, IMAGE.bytes)
  assert.ok(bytes.log().includes(`GET /v2/library/app/manifests/${IMAGE.digest}`))
  assert.ok(bytes.log().every((line) => !line.endsWith('/manifests/1')))
})

test('ns is looked up and never dialled where nobody configured it', async (t) => {
  const bystander = await FakeRegistry.start(t)
  bystander.put('library/app', '1', IMAGE)
  const registry = await FakeRegistry.start(t)
  const mirror = await startMirror(t, [place(registry, { upstreams: ['quay.io'] })])

  const reply = await mirror.get(`/v2/library/app/manifests/1?ns=${bystander.host}`)

  assert.deepEqual([reply.status, codeOf(reply)], [403, 'DENIED'])
  assert.equal(bystander.requests.length, 0)
})

test('images of another registry are looked for by their own name there', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('mirror/quay.io/team/app', '1', IMAGE)
  const entry = { upstreams: ['quay.io'], path: 'mirror/{domain}/{path}' }
  const mirror = await startMirror(t, [place(registry, entry)])

  const reply = await mirror.get('/v2/team/app/manifests/1?ns=quay.io')

  assert.deepEqual(reply.body, IMAGE.bytes)
  assert.equal(reply.headers['oci-namespace'], 'quay.io')
})
