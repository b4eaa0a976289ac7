import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerWith, FakeRegistry, serve } from '../../support/fake-registry.ts'
import { buildImage, content, OCI_INDEX } from '../../support/images.ts'
import { type MirrorReply, place, startMirror } from '../../support/mirror.ts'

const IMAGE = buildImage()
const TAGS = Array.from({ length: 5 }, (_, index) => `v${index + 1}`)

function json({ body }: MirrorReply) {
  return JSON.parse(body.toString())
}

/** With pages, whose links lead where only it can be reached. */
async function startTagged(t: Parameters<typeof FakeRegistry.start>[0]): Promise<FakeRegistry> {
  const registry = await FakeRegistry.start(t)
  registry.behaviour = (exchange) => {
    const url = new URL(exchange.request.url ?? '', registry.url)
    if (!url.pathname.endsWith('/library/app/tags/list')) return serve(exchange)
    const after = TAGS.indexOf(url.searchParams.get('last') ?? '') + 1
    const n = Number(url.searchParams.get('n') ?? TAGS.length)
    const tags = TAGS.slice(after, after + n)
    const link = `<http://10.0.0.1${url.pathname}?n=${n}&last=${tags.at(-1)}>; rel="next"`
    exchange.response.writeHead(200, after + n < TAGS.length ? { link } : {})
    exchange.response.end(JSON.stringify({ name: 'library/app', tags }))
  }
  return registry
}

test('the tags of a repository are listed, page after page, with links that stay here', async (t) => {
  const mirror = await startMirror(t, [place(await startTagged(t))])
  const found: string[] = []
  const pages: string[] = []

  let path: string | undefined = '/v2/library/app/tags/list?n=2&ns=docker.io'
  while (path !== undefined) {
    const reply: MirrorReply = await mirror.get(path)
    assert.equal(json(reply).name, 'library/app')
    found.push(...json(reply).tags)
    pages.push(path)
    path = /^<(\/v2\/library\/app\/tags\/list\?[^>]+)>; rel="next"$/.exec(
      String(reply.headers['link'] ?? ''),
    )?.[1]
  }

  assert.deepEqual(found, TAGS)
  assert.equal(pages.length, 3)
  assert.match(pages[1] ?? '', /n=2&last=v2&ns=docker.io$/)
})

test('without a number all tags come; none are none, and a number that is none is refused', async (t) => {
  const mirror = await startMirror(t, [place(await startTagged(t))])

  const all = await mirror.get('/v2/library/app/tags/list')
  const none = await mirror.get('/v2/library/app/tags/list?n=0')
  const odd = await mirror.get('/v2/library/app/tags/list?n=many')

  assert.deepEqual(json(all).tags, TAGS)
  assert.equal(all.headers['link'], undefined)
  assert.deepEqual(json(none).tags, [])
  assert.equal(odd.status, 400)
})

test('the tags of a repository that nobody has are unknown', async (t) => {
  const mirror = await startMirror(t, [place(await startTagged(t))])

  const reply = await mirror.get('/v2/library/other/tags/list')

  assert.deepEqual([reply.status, json(reply).errors[0].code], [404, 'NAME_UNKNOWN'])
})

test('what refers to a manifest is listed as its registry does, with the filter that was wished for', async (t) => {
  const list = content(OCI_INDEX, { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] })
  const registry = await FakeRegistry.start(t)
  registry.behaviour = ({ response }) => {
    response.writeHead(200, {
      'content-type': OCI_INDEX,
      'oci-filters-applied': 'artifactType',
      link: '</v2/elsewhere?next=2>; rel="next"',
    })
    response.end(list.bytes)
  }
  const mirror = await startMirror(t, [place(registry)])
  const path = `/v2/library/app/referrers/${IMAGE.digest}`

  const reply = await mirror.get(`${path}?ns=docker.io&artifactType=application/vnd.x`)

  assert.equal(reply.status, 200)
  assert.deepEqual(reply.body, list.bytes)
  assert.equal(reply.headers['content-type'], OCI_INDEX)
  assert.equal(reply.headers['oci-filters-applied'], 'artifactType')
  assert.equal(reply.headers['link'], `<${path}?next=2&ns=docker.io>; rel="next"`)
  assert.deepEqual(registry.log(), [`GET ${path}?artifactType=application%2Fvnd.x`])
})

test('where no registry knows referrers, clients are told to look for the tag', async (t) => {
  const registry = await FakeRegistry.start(t)
  const mirror = await startMirror(t, [place(registry)])

  const reply = await mirror.get(`/v2/library/app/referrers/${IMAGE.digest}`)

  assert.equal(reply.status, 404)
})

test('what a path, a name, a digest or ns must not be is said in the words of registries', async (t) => {
  const registry = await FakeRegistry.start(t)
  const mirror = await startMirror(t, [place(registry)])
  const refusals: Readonly<Record<string, readonly [number, string]>> = {
    '/v2/library/app/manifests/.no-tag': [404, 'MANIFEST_UNKNOWN'],
    '/v2/library/app/manifests/sha256:abc': [400, 'DIGEST_INVALID'],
    '/v2/library/app/blobs/latest': [400, 'DIGEST_INVALID'],
    '/v2/library/app/referrers/latest': [400, 'DIGEST_INVALID'],
    '/v2/Library/App/manifests/1': [400, 'NAME_INVALID'],
    '/v2/library/app/manifests/1?ns=..': [400, 'NAME_INVALID'],
    '/v2/library/app/manifests/1?ns=library': [400, 'NAME_INVALID'],
    '/v2/library/app/manifests/1?ns=a.io/b': [400, 'NAME_INVALID'],
    '/v2/library/app/manifests/1?ns=user@a.io': [400, 'NAME_INVALID'],
    '/v2/library/app/manifests/1?ns=': [400, 'NAME_INVALID'],
    '/v2/library/app/manifests/1?ns=a.io&ns=b.io': [400, 'NAME_INVALID'],
    '/v2/_catalog': [404, 'UNSUPPORTED'],
    '/v2/library/app': [404, 'UNSUPPORTED'],
  }

  for (const [path, expected] of Object.entries(refusals)) {
    const reply = await mirror.get(path)

    assert.deepEqual([reply.status, json(reply).errors[0].code], expected, path)
    assert.match(String(reply.headers['content-type']), /^application\/json/)
    assert.equal(reply.headers['docker-distribution-api-version'], 'registry/2.0')
  }
  assert.equal(registry.requests.length, 0)
})

test('nothing is written', async (t) => {
  const registry = await FakeRegistry.start(t)
  const mirror = await startMirror(t, [place(registry)])

  for (const [method, path] of [
    ['POST', '/v2/library/app/blobs/uploads/'],
    ['PUT', '/v2/library/app/manifests/1'],
    ['PATCH', '/v2/library/app/blobs/uploads/1'],
    ['DELETE', `/v2/library/app/manifests/${IMAGE.digest}`],
  ] as const) {
    const reply = await mirror.ask(method, path)

    assert.deepEqual([reply.status, json(reply).errors[0].code], [405, 'UNSUPPORTED'])
    assert.equal(reply.headers['allow'], 'GET, HEAD')
  }
  assert.equal(registry.requests.length, 0)
})

test('a manifest of more than 4 MiB is not passed on', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.behaviour = answerWith(200, IMAGE.mediaType, Buffer.alloc(4 * 1024 * 1024 + 1, ' '))
  const mirror = await startMirror(t, [place(registry)])

  const reply = await mirror.get(`/v2/library/app/manifests/${IMAGE.digest}`)

  assert.deepEqual([reply.status, json(reply).errors[0].code], [502, 'MANIFEST_INVALID'])
})
