import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { type ErrorCode, ResolveError } from '../../../src/errors.ts'
import { httpStatus } from '../../../src/http/error-response.ts'
import {
  anAnswer,
  IMAGE_ID,
  openApp,
  someImages,
  someRegistries,
  WITH_TOKEN,
} from '../../support/http-app.ts'
import { OpenApi, type Told } from '../../support/openapi.ts'

/** Errors that come from outside; a fault of ours would be one. */
const CODES = (Object.keys(httpStatus) as ErrorCode[]).filter(
  (code) => !['UNKNOWN', 'CONFIG_INVALID', 'CANCELED'].includes(code),
)

/** Of these a runtime has no more. */
const RUNTIME_CODES = ['DENIED', 'UNAVAILABLE', 'DEADLINE_EXCEEDED'] as const

/** Behind the door sits somebody who fails in every way, by what the name of a thing begins with. */
function moody(name: string, codes: readonly ErrorCode[] = CODES): void {
  const code = codes.find((each) => name.startsWith(each))
  if (code !== undefined) throw new ResolveError(code, 'what, where, how')
}

async function openMoody(t: TestContext): Promise<FastifyInstance> {
  const app = await openApp(t, {
    answers: {
      prepare: (input) => () =>
        input.startsWith('nginx') ? anAnswer({ source: 'cache', requested: input }) : undefined,
      answer: async (requested) => {
        moody(requested)
        return anAnswer({ requested })
      },
    },
    ...someImages({
      status: async (image) => {
        moody(image, RUNTIME_CODES)
        return undefined
      },
      remove: async (image) => moody(image, RUNTIME_CODES),
      pull: async (image) => {
        moody(image)
        return IMAGE_ID
      },
    }),
    registries: someRegistries({
      tags: async (registry, repository) => {
        moody(repository)
        return { registry, repository, tags: ['latest'], next: null }
      },
    }),
    onEvent: async ({ changes }) => changes.length,
    // Once a minute would be too seldom, for ever too often.
    access: { token: 'open-sesame', rateLimit: 0 },
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app
}

/** Stands for a body over every limit, which nobody wants to see printed. */
const HUGE = 'huge'

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** Undefined: it was sent away in the middle of a body that is too long. */
function send(
  app: FastifyInstance,
  agent: Agent,
  { method, path, headers, body }: Asked,
): Promise<Told | undefined> {
  const { port } = app.server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    const sent = body === HUGE ? 'a'.repeat(300_000) : body
    // Node frames no body of a DELETE by itself; what is not framed would be a request of its own.
    const framed = sent === undefined ? {} : { 'content-length': Buffer.byteLength(sent) }
    const options = { port, host: '127.0.0.1', method, path, agent }
    const asked = request({ ...options, headers: { ...headers, ...framed } })
    asked.once('error', (error) => {
      if (body === HUGE) resolve(undefined)
      else reject(error)
    })
    asked.once('response', async (response) => {
      let text = ''
      response.setEncoding('utf8')
      for await (const chunk of response) text += chunk
      const { statusCode: status = 0, headers: given } = response
      resolve({ method, url: path, status, headers: given, body: text })
    })
    asked.end(sent)
  })
}

const text = fc.oneof(
  fc.constantFrom('nginx', 'nginx:latest', 'Nginx', '', '%', 'harbor.corp/hub', 'true', '1', '-1'),
  fc.constantFrom(...CODES),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary-ascii', maxLength: 40 }),
)

/** Mostly encoded as it should be; else as somebody might think it should. */
const encoded = fc.oneof(
  { weight: 4, arbitrary: text.map((each) => encodeURIComponent(each)) },
  {
    weight: 1,
    arbitrary: fc.stringMatching(/^[!-~]{0,20}$/).map((each) => each.replace(/#/g, '')),
  },
)

const NAMES = ['ref', 'platform', 'refresh', 'explain', 'all', 'node', 'n', 'last', 'repository']
const anyQuery = fc
  .array(fc.tuple(fc.oneof(fc.constantFrom(...NAMES), encoded), encoded), { maxLength: 3 })
  .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'))
const query = fc.oneof(
  anyQuery,
  fc.constant(''),
  encoded.map((each) => `ref=${each}`),
  encoded.map((each) => `repository=${each}`),
)

function pathOf(routes: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...routes, '/', '/v2/', '/images/', '//', '/resolve/'), encoded, query)
    .map(([route, part, rest]) => {
      const path = route.replace(/\{\w+\}/, () => part || 'harbor.corp%2Fhub')
      return rest === '' ? path : `${path}?${rest}`
    })
}

const json = fc.oneof(
  fc.record({ references: fc.array(text, { maxLength: 5 }), platform: text }, { requiredKeys: [] }),
  fc.record({ reference: text }),
  fc.json(),
)
const body = fc.oneof(
  json.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))),
  fc.string(),
  fc.constant(HUGE),
  fc.constant('{"__proto__":{"references":["a"]}}'),
  fc.constant(undefined),
)

const token = fc.stringMatching(/^[!-~]{0,20}$/)
const headers = fc
  .record(
    {
      authorization: fc.oneof(fc.constant(WITH_TOKEN.authorization), token),
      'content-type': fc.oneof(fc.constantFrom('application/json', 'text/plain', '*/*'), token),
      accept: fc.oneof(fc.constantFrom('application/x-ndjson', '*/*'), token),
      'accept-encoding': fc.constantFrom('gzip;q=0', 'br', 'identity'),
      'if-none-match': fc.oneof(fc.constantFrom('*', '""', 'W/"a"'), token),
      'x-request-id': token,
      traceparent: token,
      expect: fc.constantFrom('a-miracle'),
      upgrade: fc.constantFrom('h2c', 'websocket'),
    },
    { requiredKeys: [] },
  )
  .map((given) => ({ ...WITH_TOKEN, 'content-type': 'application/json', ...given }))

/** What a client in its right mind sends. */
const fine: fc.Arbitrary<Asked> = fc
  .tuple(
    fc.constantFrom<readonly [string, string, string | undefined]>(
      ['DELETE', '/images/docker.io/library/nginx:latest', undefined],
      ['POST', '/images/pull', '{"reference":"nginx"}'],
      ['POST', '/resolve', '{"references":["nginx","UNAVAILABLE","redis"]}'],
      ['GET', '/registries/harbor.corp%2Fhub/tags?repository=library/nginx', undefined],
      ['GET', '/resolve?ref=nginx', undefined],
    ),
    fc.constantFrom('application/json', 'application/x-ndjson'),
  )
  .map(([[method, path, body], accept]) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const known = path.startsWith('/resolve?') ? { 'if-none-match': '*' } : {}
    return { method, path, headers: { ...WITH_TOKEN, ...type, ...known, accept }, body }
  })

const METHODS = ['GET', 'HEAD', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'PROPFIND', 'TRACE']

test('the judge objects to what is not in the document', async () => {
  const openapi = await OpenApi.load()
  const headers = { 'content-type': 'application/json' }
  const live = { method: 'GET', url: '/livez', status: 200, headers, body: '{"status":"live"}' }

  assert.deepEqual(openapi.objections(live), [])
  for (const wrong of [
    { ...live, status: 503 },
    { ...live, body: '{"status":"dead"}' },
    { ...live, body: '{"status":"live","secret":1}' },
    { ...live, body: '{}' },
    { ...live, method: 'HEAD' },
    { ...live, headers: { 'content-type': 'text/html' } },
    { ...live, method: 'PUT' },
    { ...live, url: '/nope' },
  ]) {
    assert.notDeepEqual(openapi.objections(wrong), [], JSON.stringify(wrong))
  }
})

test('whatever is asked, the answer is in the document', { timeout: 600_000 }, async (t) => {
  const app = await openMoody(t)
  const openapi = await OpenApi.load()
  const paths = Object.keys(openapi.document.paths)
  // What is left over of one request, as a body after `upgrade`, must not be taken for the next one.
  const agent = new Agent({ keepAlive: false })
  t.after(() => agent.destroy())
  const seen = new Set<number>()
  const wild = fc.record({
    method: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('GET', 'POST', 'DELETE') },
      fc.constantFrom(...METHODS),
    ),
    path: fc.oneof(
      { weight: 3, arbitrary: pathOf(paths) },
      { weight: 1, arbitrary: fc.constantFrom(...CODES).map((code) => `/resolve?ref=${code}`) },
    ),
    headers,
    body,
  })

  await fc.assert(
    fc.asyncProperty(fc.oneof({ weight: 9, arbitrary: wild }, fine), async (each) => {
      const hasBody = !['GET', 'HEAD', 'TRACE'].includes(each.method)
      const told = await send(app, agent, { ...each, body: hasBody ? each.body : undefined })
      if (told === undefined) return

      seen.add(told.status)
      assert.deepEqual(openapi.objections(told), [])
      assert.ok(told.status < 500 || [502, 503, 504].includes(told.status), `${told.status}`)
    }),
    { numRuns: 2_500 },
  )

  // The other way round: what was generated has met every kind of answer.
  for (const status of [200, 204, 304, 400, 401, 404, 405, 413, 415, 422, 429, 502, 504]) {
    assert.ok(seen.has(status), `no ${status} among ${[...seen].sort().join(', ')}`)
  }
})
