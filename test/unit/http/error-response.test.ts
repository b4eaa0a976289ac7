import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { toFailure } from '../../../src/http/error-response.ts'

test('an unexpected error keeps its message, its stack and its cause to itself', () => {
  const failure = toFailure(new TypeError('cannot read /etc/secret'))

  assert.equal(failure.status, 500)
  assert.equal(failure.body.errors[0]?.code, 'UNKNOWN')
  assert.ok(!JSON.stringify(failure.body).includes('secret'))
  assert.ok(failure.unexpected instanceof TypeError)
})

test('an UNKNOWN of the core is as unexpected, but its attempts are told', () => {
  const attempts = [{ registry: 'a', step: 'connect', outcome: 'unreachable', ms: 1 }] as const
  const thrown = new ResolveError('UNKNOWN', 'internals', { attempts })

  const failure = toFailure(thrown)

  assert.ok(!JSON.stringify(failure.body).includes('internals'))
  assert.deepEqual(failure.body.errors[0]?.detail, { attempts })
  assert.equal(failure.unexpected, thrown)
})

const retries: readonly (readonly [number | undefined, string])[] = [
  [90_000, '90'],
  [1_001, '2'],
  [0, '1'],
  [undefined, '10'],
]

for (const [retryAfterMs, header] of retries) {
  test(`TOOMANYREQUESTS with ${retryAfterMs} ms says Retry-After: ${header}`, () => {
    const details = retryAfterMs === undefined ? {} : { retryAfterMs }

    const failure = toFailure(new ResolveError('TOOMANYREQUESTS', 'slow down', details))

    assert.equal(failure.status, 429)
    assert.equal(failure.headers['retry-after'], header)
  })
}

test('other errors say Retry-After only when the registry did', () => {
  const silent = toFailure(new ResolveError('UNAVAILABLE', 'down'))
  const telling = toFailure(new ResolveError('UNAVAILABLE', 'down', { retryAfterMs: 5_000 }))

  assert.equal(silent.headers['retry-after'], undefined)
  assert.equal(telling.headers['retry-after'], '5')
})

test("the reasons of an aborted signal are the caller's leaving and its lack of time", () => {
  const left = toFailure(new DOMException('gone', 'AbortError'))
  const late = toFailure(new DOMException('late', 'TimeoutError'))

  assert.equal(left.status, 499)
  assert.equal(late.status, 504)
})

test('a client error of the framework keeps its status; a server error of it is ours', () => {
  const badUrl = Object.assign(new Error('bad url'), { code: 'FST_ERR_BAD_URL', statusCode: 400 })
  const ours = Object.assign(new Error('oops'), { code: 'FST_ERR_X', statusCode: 500 })

  assert.deepEqual(toFailure(badUrl).body.errors[0], {
    code: 'REQUEST_INVALID',
    message: 'bad url',
    detail: {},
  })
  assert.equal(toFailure(ours).body.errors[0]?.code, 'UNKNOWN')
})
