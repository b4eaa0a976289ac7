import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, startImages } from '../../support/registry-images.ts'
import { type Step, startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer } from '../../support/token-server.ts'

function page(tags: unknown, link?: string): Step {
  const headers = link === undefined ? {} : { link }
  return { status: 200, headers, body: JSON.stringify({ name: 'library/app', tags }) }
}

test('the tags of a repository come in one list, page after page', async (t) => {
  const registry = await startScriptedRegistry(t, [
    page(['a', 'b'], '</v2/library/app/tags/list?n=1000&last=b>; rel="next"'),
    page(['c']),
  ])

  const found = await startImages(t).tags(ask(registry, 'library/app', ''))

  assert.deepEqual(found, { names: ['a', 'b', 'c'] })
  assert.deepEqual(
    registry.requests.map(({ path }) => path),
    ['/v2/library/app/tags/list?n=1000', '/v2/library/app/tags/list?n=1000&last=b'],
  )
})

test('no more tags are given than asked for, and where to go on', async (t) => {
  const registry = await startScriptedRegistry(t, [
    page(['b', 'c', 'd']),
    page(['b', 'c'], '</x?last=c>; rel="next"'),
  ])
  const images = startImages(t)
  const request = { ...ask(registry, 'library/app', ''), n: 2, last: 'a' }

  const generous = await images.tags(request)
  const exact = await images.tags(request)

  assert.deepEqual(generous, { names: ['b', 'c'], last: 'c' })
  assert.deepEqual(exact, generous)
  assert.equal(registry.requests[0]?.path, '/v2/library/app/tags/list?n=2&last=a')
  assert.equal(registry.requests.length, 2)
})

test('a page is never asked to be longer than a thousand', async (t) => {
  const registry = await startScriptedRegistry(t, [page([])])

  await startImages(t).tags({ ...ask(registry, 'library/app', ''), n: 5_000 })

  assert.equal(registry.requests[0]?.path, '/v2/library/app/tags/list?n=1000')
})

test('a link to another host is not followed: the registry itself is asked for the next page', async (t) => {
  const other = await startScriptedRegistry(t, [page(['stolen'])])
  const link = `<${other.url}/v2/library/app/tags/list?last=a>; rel="next"`
  const registry = await startScriptedRegistry(t, [page(['a'], link), page(['b'])])

  const { names } = await startImages(t).tags(ask(registry, 'library/app', ''))

  assert.deepEqual(names, ['a', 'b'])
  assert.equal(other.requests.length, 0)
  assert.equal(registry.requests[1]?.path, '/v2/library/app/tags/list?last=a')
})

test('a registry whose next page is the same page ends', async (t) => {
  const link = '</v2/library/app/tags/list?last=a>; rel="next"'
  const registry = await startScriptedRegistry(t, Array(10).fill(page(['a'], link)))

  const found = await startImages(t).tags(ask(registry, 'library/app', ''))

  assert.deepEqual(found, { names: ['a', 'a'] })
  assert.equal(registry.requests.length, 2)
})

test('a registry that always has one more page ends after a hundred', async (t) => {
  const pages = Array.from({ length: 200 }, (_, at) =>
    page([`t${at}`], `</x?last=${at}>; rel="next"`),
  )
  const registry = await startScriptedRegistry(t, pages)

  const { names, last } = await startImages(t).tags({ ...ask(registry, 'a', ''), n: 10_000 })

  assert.deepEqual([names.length, last, registry.requests.length], [100, 't99', 100])
})

test('signatures that are kept under tags are not listed, nor what is no name', async (t) => {
  const digest = `sha256-${'a'.repeat(64)}`
  const tags = ['1', digest, `${digest}.sig`, 7, '', null, 'x'.repeat(300), '2']
  const registry = await startScriptedRegistry(t, [page(tags)])

  const { names } = await startImages(t).tags(ask(registry, 'library/app', ''))

  assert.deepEqual(names, ['1', '2'])
})

test('a repository without tags has none', async (t) => {
  const registry = await startScriptedRegistry(t, [page(null)])

  assert.deepEqual(await startImages(t).tags(ask(registry, 'a', '')), { names: [] })
})

const BAD: readonly [name: string, step: Step, code: string][] = [
  ['404', { status: 404 }, 'MANIFEST_UNKNOWN'],
  ['405', { status: 405 }, 'UNSUPPORTED'],
  ['HTML', { status: 200, body: '<html>' }, 'MANIFEST_INVALID'],
  ['another object', { status: 200, body: '{"errors":[]}' }, 'MANIFEST_INVALID'],
  ['more than 4 MiB', page(['x'.repeat(4 * 1024 * 1024)]), 'MANIFEST_INVALID'],
]

for (const [name, step, code] of BAD) {
  test(`tags that come as ${name} are ${code}`, async (t) => {
    const registry = await startScriptedRegistry(t, [step])

    await assert.rejects(startImages(t).tags(ask(registry, 'library/app', '')), { code })
  })
}

test('the repositories of a registry are listed with a token for its catalogue', async (t) => {
  const tokens = await startTokenServer(t)
  const registry = await startScriptedRegistry(t, [
    { status: 401, headers: { 'www-authenticate': tokens.challenge } },
    { status: 200, body: '{"repositories":["a","b/c"]}' },
  ])

  const found = await startImages(t).repositories(ask(registry, '', ''))

  assert.deepEqual(found, { names: ['a', 'b/c'] })
  assert.equal(registry.requests[1]?.path, '/v2/_catalog?n=1000')
  assert.equal(tokens.questions[0]?.params['scope'], 'registry:catalog:*')
})

test('what is no name is not listed', async (t) => {
  const repositories = [
    '../../x',
    'a//b',
    '<b>',
    'team/app\u202e',
    'Team/app',
    '/a',
    'team/app',
    'a/',
  ]
  const tags = ['-x', 'a/b', '1.0\u202e', '<b>', ' ', '1.0_x-Y']
  const catalogue = { status: 200, headers: {}, body: JSON.stringify({ repositories }) }
  const registry = await startScriptedRegistry(t, [catalogue, page(tags)])
  const images = startImages(t)

  const listed = await images.repositories(ask(registry, '', ''))
  const tagged = await images.tags(ask(registry, 'team/app', ''))

  assert.deepEqual([listed.names, tagged.names], [['team/app'], ['1.0_x-Y']])
})

test('a ping without credentials takes a 401 for an answer, and fetches no token', async (t) => {
  const tokens = await startTokenServer(t)
  const challenge = { status: 401, headers: { 'www-authenticate': tokens.challenge } }
  const registry = await startScriptedRegistry(t, [challenge, { status: 404 }, { status: 200 }])
  const images = startImages(t)
  const request = ask(registry, '', '')

  const { status, ms } = await images.ping(request)

  assert.equal(status, 401)
  assert.ok(ms >= 0)
  await assert.rejects(images.ping(request), { code: 'MANIFEST_UNKNOWN', status: 404 })
  assert.equal((await images.ping(request)).status, 200)
  assert.deepEqual(new Set(registry.requests.map(({ path }) => path)), new Set(['/v2/']))
  assert.equal(tokens.questions.length, 0)
})
