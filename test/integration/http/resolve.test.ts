import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, ResolveError } from '../../../src/errors.ts'
import { httpStatus } from '../../../src/http/error-response.ts'
import { UnresolvedError } from '../../../src/resolver/unresolved-error.ts'
import {
  anAnswer,
  documentErrors,
  IMAGE_ID,
  INDEX_DIGEST,
  MANIFEST_DIGEST,
  openApp,
  ScriptedAnswers,
  WITH_TOKEN,
} from '../../support/http-app.ts'

test('a tag is answered with its image, its digests and where to pull it', async (t) => {
  const app = await openApp(t)

  const response = await app.inject('/resolve?ref=nginx:latest')

  assert.equal(response.statusCode, 200)
  assert.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  assert.deepEqual(await documentErrors('ResolveResponse', response.json()), [])
  assert.deepEqual(response.json(), {
    requested: 'nginx:latest',
    reference: 'docker.io/library/nginx:latest',
    imageId: IMAGE_ID,
    digest: INDEX_DIGEST,
    manifestDigest: MANIFEST_DIGEST,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    references: anAnswer().references,
    registry: 'harbor.corp',
    source: 'registry',
    resolvedAt: '2026-01-31T12:00:00.000Z',
    expiresAt: '2026-01-31T12:01:00.000Z',
  })
})

test('the answerer gets the reference and the options as they were asked', async (t) => {
  const answers = new ScriptedAnswers(anAnswer())
  const app = await openApp(t, { answers })

  const url = '/resolve?ref=a%2Fb%3A1&platform=linux/arm64&refresh=true&node=true'
  await app.inject({ url, headers: WITH_TOKEN })
  await app.inject('/resolve?ref=nginx')

  const [full, bare] = answers.asked.map(({ input, options: { signal, ...rest } }) => {
    assert.ok(signal instanceof AbortSignal)
    return { input, ...rest }
  })
  const asked = { platform: 'linux/arm64', refresh: true, node: true }
  assert.deepEqual(full, { input: 'a/b:1', ...asked, unauthenticated: false })
  assert.deepEqual(bare, { input: 'nginx', refresh: false, node: false, unauthenticated: true })
})

test('explain=true adds the attempts and the candidates, and only then', async (t) => {
  const app = await openApp(t)

  const explained = await app.inject('/resolve?ref=nginx&explain=true')
  const plain = await app.inject('/resolve?ref=nginx&explain=false')

  assert.deepEqual(await documentErrors('ResolveResponse', explained.json()), [])
  assert.deepEqual(explained.json().attempts, anAnswer().attempts)
  assert.equal(explained.json().candidates[0].why, 'chosen: the first in order')
  assert.equal(explained.json().candidates[0].exchanges[0].remaining, 99)
  assert.equal('attempts' in plain.json(), false)
  assert.equal('candidates' in plain.json(), false)
})

test('all=true asks for everybody, shows the candidates, and may not be kept', async (t) => {
  const answers = new ScriptedAnswers(anAnswer())
  const app = await openApp(t, { answers })

  const response = await app.inject('/resolve?ref=nginx&all=true')

  assert.deepEqual(await documentErrors('ResolveResponse', response.json()), [])
  assert.equal(answers.asked[0]?.options.all, true)
  assert.equal(response.json().candidates.length, 1)
  assert.equal('attempts' in response.json(), false)
  assert.equal(response.headers['cache-control'], 'no-store')
})

test('what the node has is passed on', async (t) => {
  const answer = anAnswer({ node: { present: true, imageId: IMAGE_ID } })
  const app = await openApp(t, { answers: new ScriptedAnswers(answer) })

  const response = await app.inject({ url: '/resolve?ref=nginx&node=true', headers: WITH_TOKEN })

  assert.deepEqual(await documentErrors('ResolveResponse', response.json()), [])
  assert.deepEqual(response.json().node, { present: true, imageId: IMAGE_ID })
})

test('what the node cannot know is null, and nobody may keep such an answer', async (t) => {
  const answer = anAnswer({
    source: 'node',
    digest: undefined,
    manifestDigest: undefined,
    mediaType: undefined,
    expiresAt: undefined,
  })
  const app = await openApp(t, { answers: new ScriptedAnswers(answer) })

  const response = await app.inject('/resolve?ref=nginx')

  const body = response.json()
  assert.deepEqual(await documentErrors('ResolveResponse', body), [])
  assert.deepEqual(
    [body.digest, body.manifestDigest, body.mediaType, body.expiresAt],
    [null, null, null, null],
  )
  assert.equal(response.headers['cache-control'], 'no-store')
  assert.equal(response.headers['docker-content-digest'], undefined)
})

const caching: readonly (readonly [string, string, Parameters<typeof anAnswer>[0], string])[] = [
  ['a tag may be kept until it expires', '', {}, 'max-age=60'],
  ['a tag that has just expired may not be kept', '', { expiresAt: 1 }, 'max-age=0'],
  ['a digest may be kept for an hour', '', { expiresAt: undefined }, 'max-age=3600'],
  ['a stale answer may not be kept', '', { source: 'stale' }, 'no-store'],
  ['a refreshed answer may not be kept', '&refresh=true', {}, 'no-store'],
  ['the state of the node may not be kept', '&node=true', {}, 'no-store'],
]

for (const [what, query, changes, header] of caching) {
  test(`${what}: ${header}`, async (t) => {
    const app = await openApp(t, { answers: new ScriptedAnswers(anAnswer(changes)) })

    const response = await app.inject({ url: `/resolve?ref=nginx${query}`, headers: WITH_TOKEN })

    assert.equal(response.headers['cache-control'], header)
  })
}

test('HEAD says what GET says, without the body', async (t) => {
  const app = await openApp(t)

  const got = await app.inject('/resolve?ref=nginx')
  const head = await app.inject({ method: 'HEAD', url: '/resolve?ref=nginx' })

  assert.equal(head.statusCode, 200)
  assert.equal(head.body, '')
  assert.equal(head.headers['docker-content-digest'], INDEX_DIGEST)
  for (const name of ['content-length', 'content-type', 'cache-control']) {
    assert.equal(head.headers[name], got.headers[name], name)
  }
})

for (const code of Object.keys(httpStatus) as ErrorCode[]) {
  test(`${code} is told with status ${httpStatus[code]} and its attempts`, async (t) => {
    const attempts = [
      {
        registry: 'harbor.corp',
        step: 'manifest',
        outcome: 'not_found',
        status: 404,
        ms: 2,
        message: 'no such tag',
      },
    ] as const
    const error = new ResolveError(code, 'what, where, how', { attempts })
    const app = await openApp(t, { answers: new ScriptedAnswers(error) })

    const response = await app.inject('/resolve?ref=nginx')

    const body = response.json()
    assert.equal(response.statusCode, httpStatus[code])
    assert.deepEqual(await documentErrors('ErrorResponse', body), [])
    assert.equal(body.errors[0].code, code)
    assert.deepEqual(body.errors[0].detail, { attempts })
    assert.equal(response.headers['cache-control'], 'no-store')
  })
}

test('explain=true shows the candidates of a failure too, and only then', async (t) => {
  const cause = new ResolveError('UNAVAILABLE', 'nobody answers')
  const error = new UnresolvedError(anAnswer().candidates ?? [], { cause })
  const app = await openApp(t, { answers: new ScriptedAnswers(error) })

  const explained = await app.inject('/resolve?ref=nginx&explain=true')
  const plain = await app.inject('/resolve?ref=nginx')

  assert.equal(explained.statusCode, 502)
  assert.deepEqual(await documentErrors('ErrorResponse', explained.json()), [])
  const [told] = explained.json().errors[0].detail.candidates
  assert.equal(told.why, 'chosen: the first in order')
  assert.equal('candidates' in plain.json().errors[0].detail, false)
})

test('an error before any registry was asked has no attempts', async (t) => {
  const error = new ResolveError('NAME_INVALID', 'Nginx: upper case')
  const app = await openApp(t, { answers: new ScriptedAnswers(error) })

  const response = await app.inject('/resolve?ref=Nginx')

  assert.deepEqual(response.json(), {
    errors: [{ code: 'NAME_INVALID', message: 'Nginx: upper case', detail: {} }],
  })
})

const badQueries: readonly (readonly [string, RegExp])[] = [
  ['', /'ref' is missing/],
  ['?ref=a&ref=b', /'ref' is given twice/],
  ['?ref=a&reff=b', /'reff'/],
  ['?ref=a&refresh=yes', /'refresh' must be true or false/],
]

for (const [query, message] of badQueries) {
  test(`/resolve${query} is refused, and nobody is asked`, async (t) => {
    const answers = new ScriptedAnswers(anAnswer())
    const app = await openApp(t, { answers })

    const response = await app.inject(`/resolve${query}`)

    assert.equal(response.statusCode, 400)
    assert.deepEqual(await documentErrors('ErrorResponse', response.json()), [])
    assert.equal(response.json().errors[0].code, 'REQUEST_INVALID')
    assert.match(response.json().errors[0].message, message)
    assert.equal(answers.asked.length, 0)
  })
}
