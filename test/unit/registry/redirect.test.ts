import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { isRedirect, nextHop } from '../../../src/registry/redirect.ts'

const FROM = new URL('https://host.corp/v2/a/manifests/1')

test('a redirect is followed to a relative or absolute place', () => {
  assert.equal(nextHop('/v2/b/manifests/1', FROM).href, 'https://host.corp/v2/b/manifests/1')
  assert.equal(nextHop('https://cdn.corp/x?y=1', FROM).href, 'https://cdn.corp/x?y=1')
})

test('credentials in a Location are dropped', () => {
  assert.equal(nextHop('https://user:pass@cdn.corp/x', FROM).href, 'https://cdn.corp/x')
})

test('a redirect from https to http is refused', () => {
  assert.throws(
    () => nextHop('http://cdn.corp/x?secret=1', FROM),
    (error) =>
      error instanceof ResolveError && error.code === 'DENIED' && !error.message.includes('secret'),
  )
})

test('a redirect to what is no web address is refused', () => {
  const from = new URL('http://host.corp/')

  assert.throws(() => nextHop('file:///etc/passwd', from), { code: 'DENIED' })
})

test('a redirect that does not say where to is refused', () => {
  assert.throws(() => nextHop(undefined, FROM), { code: 'UNAVAILABLE', step: 'manifest' })
  assert.throws(() => nextHop('http://[', FROM), { code: 'UNAVAILABLE' })
})

test('304 and 300 are no redirects', () => {
  assert.ok([301, 302, 303, 307, 308].every(isRedirect))
  assert.ok(![200, 300, 304, 404].some(isRedirect))
})
