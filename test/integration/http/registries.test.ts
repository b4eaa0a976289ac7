import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { PageOptions } from '../../../src/http/registry-admin.ts'
import { openApp, someRegistries } from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

const HUB = '/registries/harbor.corp%2Fhub'

test('GET /registries says how each of them does', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, '/registries')

  assert.equal(response.statusCode, 200)
  assert.deepEqual(response.json(), { registries: someRegistries().statuses() })
})

test('a catalogue comes in pages, each saying where the next begins', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, `${HUB}/images`)

  assert.deepEqual(response.json(), {
    registry: 'harbor.corp/hub',
    repositories: ['library/nginx', 'team/app'],
    next: 'team/app',
  })
})

test('the last page of tags says that there is none after it', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, `${HUB}/tags?repository=library/nginx`)

  assert.deepEqual(response.json(), {
    registry: 'harbor.corp/hub',
    repository: 'library/nginx',
    tags: ['1.27', 'latest'],
    next: null,
  })
})

test('the registry is asked for as many names as the caller wants, from where it wants', async (t) => {
  const asked: (readonly [string, Omit<PageOptions, 'signal'>])[] = []
  const app = await openApp(t, {
    registries: someRegistries({
      tags: async (registry, repository, { signal, ...page }) => {
        assert.ok(signal instanceof AbortSignal)
        asked.push([`${registry} ${repository}`, page])
        return { registry, repository, tags: [], next: null }
      },
    }),
  })

  await ask(app, `${HUB}/tags?repository=a/b`)
  await ask(app, `${HUB}/tags?repository=a/b&n=1000&last=v1`)

  assert.deepEqual(asked, [
    ['harbor.corp/hub a/b', { n: 100 }],
    ['harbor.corp/hub a/b', { n: 1000, last: 'v1' }],
  ])
})

for (const list of ['images', 'tags?repository=a']) {
  test(`/registries/{name}/${list} of a registry that is not configured is a 404`, async (t) => {
    const app = await openApp(t)

    const response = await ask(app, `/registries/nope.corp/${list}`)

    assert.equal(response.statusCode, 404)
    assert.equal(response.json().errors[0].code, 'ROUTE_UNKNOWN')
    assert.match(response.json().errors[0].message, /^no registry "nope.corp" is configured/)
  })
}

const failures = [
  ['UNAUTHORIZED', 401],
  ['DENIED', 403],
  ['MANIFEST_UNKNOWN', 404],
  ['UNSUPPORTED', 422],
  ['TOOMANYREQUESTS', 429],
  ['UNAVAILABLE', 502],
  ['MANIFEST_INVALID', 502],
  ['DEADLINE_EXCEEDED', 504],
] as const

for (const [code, status] of failures) {
  test(`a registry that fails with ${code} is a ${status}`, async (t) => {
    const fail = () => Promise.reject(new ResolveError(code, 'what, where, how'))
    const registries = someRegistries({ repositories: fail, tags: fail })
    const app = await openApp(t, { registries })

    const images = await ask(app, `${HUB}/images`)
    const tags = await ask(app, `${HUB}/tags?repository=a`)

    assert.deepEqual([images.statusCode, tags.statusCode], [status, status])
    assert.equal(images.json().errors[0].code, code)
  })
}

const badQueries: readonly (readonly [string, RegExp])[] = [
  ['images?n=0', /'n' must be a whole number from 1 to 1000/],
  ['images?n=1001', /'n' must be a whole number/],
  ['images?n=ten', /'n' must be a whole number/],
  ['images?repository=a', /unknown query parameter 'repository'; known are n, last/],
  ['tags', /'repository' is missing/],
]

for (const [rest, message] of badQueries) {
  test(`/registries/{name}/${rest} is refused by name`, async (t) => {
    const app = await openApp(t)

    const response = await ask(app, `${HUB}/${rest}`)

    assert.equal(response.statusCode, 400)
    assert.match(response.json().errors[0].message, message)
  })
}
