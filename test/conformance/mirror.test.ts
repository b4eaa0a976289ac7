import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, buildIndex, content, digestOf, pushImage } from '../support/images.ts'
import { type MirrorReply, place, startMirror, type TestMirror } from '../support/mirror.ts'
import { requireStack } from '../support/stack.ts'

const IMAGE = buildImage({ seed: 'conformance' })
const INDEX = buildIndex([IMAGE])
const [CONFIG = content('', 'none')] = IMAGE.blobs
const NOBODYS = digestOf('stored nowhere')
const TAGS = ['test0', 'test1', 'test2', 'test3']
const NAME = '/v2/team/conformance'

function codesOf({ body }: MirrorReply): readonly string[] {
  return JSON.parse(body.toString()).errors.map(({ code }: { readonly code: string }) => code)
}

/** What a client of the OCI distribution API may count on when it reads, by end-point. */
const RULES: Readonly<Record<string, (mirror: TestMirror) => Promise<void>>> = {
  'end-1: GET of the root is 200': async ({ get }) => {
    assert.equal((await get('/v2/')).status, 200)
  },
  'end-2: HEAD of a blob is 200 with its length': async ({ ask }) => {
    const { status, headers } = await ask('HEAD', `${NAME}/blobs/${CONFIG.digest}`)
    assert.deepEqual([status, headers['content-length']], [200, String(CONFIG.bytes.length)])
  },
  'end-2: GET of a blob is 200 with bytes of its digest': async ({ get }) => {
    const { status, body } = await get(`${NAME}/blobs/${CONFIG.digest}`)
    assert.deepEqual([status, digestOf(body)], [200, CONFIG.digest])
  },
  'end-2: GET of a part of a blob is 206 with that part': async ({ get }) => {
    const { status, body } = await get(`${NAME}/blobs/${CONFIG.digest}`, { range: 'bytes=1-8' })
    assert.deepEqual([status, body.toString()], [206, CONFIG.bytes.subarray(1, 9).toString()])
  },
  'end-2: a blob that is nowhere is 404, by GET with an error code': async ({ ask, get }) => {
    assert.equal((await ask('HEAD', `${NAME}/blobs/${NOBODYS}`)).status, 404)
    const reply = await get(`${NAME}/blobs/${NOBODYS}`)
    assert.deepEqual([reply.status, codesOf(reply)], [404, ['BLOB_UNKNOWN']])
  },
  'end-3: HEAD of a manifest, by digest and by tag, is 200 with digest and length': async ({
    ask,
  }) => {
    for (const reference of [INDEX.digest, 'test0']) {
      const { status, headers } = await ask('HEAD', `${NAME}/manifests/${reference}`)
      assert.equal(status, 200)
      assert.equal(headers['docker-content-digest'], INDEX.digest)
      assert.equal(headers['content-length'], String(INDEX.bytes.length))
    }
  },
  'end-3: GET of a manifest, by digest and by tag, is 200 with its type and bytes': async ({
    get,
  }) => {
    for (const reference of [INDEX.digest, 'test0']) {
      const { status, headers, body } = await get(`${NAME}/manifests/${reference}`, {
        accept: INDEX.mediaType,
      })
      assert.deepEqual([status, digestOf(body)], [200, INDEX.digest])
      assert.equal(headers['content-type'], INDEX.mediaType)
      assert.equal(JSON.parse(body.toString()).mediaType, headers['content-type'])
    }
  },
  'end-3: a manifest that is nowhere is 404, by GET with an error code': async ({ ask, get }) => {
    for (const reference of [NOBODYS, 'no-such-tag', '.INVALID_MANIFEST_NAME']) {
      assert.equal((await ask('HEAD', `${NAME}/manifests/${reference}`)).status, 404)
      const reply = await get(`${NAME}/manifests/${reference}`)
      assert.deepEqual([reply.status, codesOf(reply)], [404, ['MANIFEST_UNKNOWN']])
    }
  },
  'end-8a: the tags are a list': async ({ get }) => {
    const { status, body } = await get(`${NAME}/tags/list`)
    assert.equal(status, 200)
    assert.deepEqual(JSON.parse(body.toString()), { name: 'team/conformance', tags: TAGS })
  },
  'end-8b: no more tags come than are asked for, then those behind the last': async ({ get }) => {
    const page = JSON.parse((await get(`${NAME}/tags/list?n=2`)).body.toString())
    assert.deepEqual(page.tags, TAGS.slice(0, 2))
    const next = await get(`${NAME}/tags/list?n=2&last=${page.tags.at(-1)}`)
    assert.deepEqual(JSON.parse(next.body.toString()).tags, TAGS.slice(2))
  },
  'end-8: the tags of what is nowhere are 404': async ({ get }) => {
    const reply = await get('/v2/team/nothing/tags/list')
    assert.deepEqual([reply.status, codesOf(reply)], [404, ['NAME_UNKNOWN']])
  },
  'end-12: referrers that the registry does not know of are 404': async ({ get }) => {
    assert.equal((await get(`${NAME}/referrers/${INDEX.digest}`)).status, 404)
  },
  'a name that cannot be is refused with an error code': async ({ get }) => {
    const reply = await get('/v2/TEAM/conformance/manifests/test0')
    assert.deepEqual([reply.status, codesOf(reply)], [400, ['NAME_INVALID']])
  },
}

test('what is read of a registry holds for the mirror in front of one', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startDockerRegistry(t)
  for (const tag of TAGS) await pushImage(registry.url, 'team/conformance', tag, INDEX)
  const mirror = await startMirror(t, [place(registry)])

  for (const [rule, holds] of Object.entries(RULES)) await t.test(rule, () => holds(mirror))
})
