import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import type { Answers } from '../../../src/http/types.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { anAnswer, endlessAnswers, openApp } from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

const url = '/resolve'

/** Knows every image but those whose name begins with `no`. */
const answers: Answers = {
  answer: async (requested) => {
    if (!requested.startsWith('no')) return anAnswer({ requested })
    throw new ResolveError('MANIFEST_UNKNOWN', `${requested} is nowhere`)
  },
}

test('many references are answered in their order, each with its own result', async (t) => {
  const app = await openApp(t, { answers })

  const response = await ask(app, {
    method: 'POST',
    url,
    payload: { references: ['nginx', 'nope', 'redis:7', 'nginx'] },
  })

  assert.equal(response.statusCode, 200)
  const { results } = response.json()
  assert.deepEqual(
    results.map(({ requested }: { requested: string }) => requested),
    ['nginx', 'nope', 'redis:7', 'nginx'],
  )
  assert.equal(results[2].answer.requested, 'redis:7')
  assert.equal(results[1].answer, undefined)
  assert.equal(results[1].error.errors[0].code, 'MANIFEST_UNKNOWN')
})

test('verify: all asks every registry for each, and tells what all of them say', async (t) => {
  const asked: unknown[] = []
  const app = await openApp(t, {
    answers: {
      answer: async (requested, { all = false }) => {
        asked.push(all)
        return answers.answer(requested, { signal: AbortSignal.timeout(60_000) })
      },
    },
  })

  const [whole, plain] = await Promise.all(
    [{ verify: 'all' }, {}].map((more) =>
      ask(app, { method: 'POST', url, payload: { references: ['nginx', 'nope'], ...more } }),
    ),
  )
  const wrong = await app.inject({
    method: 'POST',
    url,
    payload: { references: ['nginx'], verify: 'some' },
  })

  assert.deepEqual(asked.toSorted(), [false, false, true, true])
  assert.equal(whole?.json().results[0].answer.candidates.length, 1)
  assert.equal(plain?.json().results[0].answer.candidates, undefined)
  assert.equal(wrong.statusCode, 400)
})

test('one line for each comes as NDJSON to who accepts that', async (t) => {
  const app = await openApp(t, { answers })

  const response = await ask(app, {
    method: 'POST',
    url,
    headers: { accept: 'text/html, application/x-ndjson;q=0.9' },
    payload: { references: ['nginx', 'nope'] },
  })

  assert.equal(response.headers['content-type'], 'application/x-ndjson')
  const lines = response.body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ requested, error }) => [requested, error === undefined]),
    [
      ['nginx', true],
      ['nope', false],
    ],
  )
})

test('the platform holds for all of them', async (t) => {
  const platforms: (string | undefined)[] = []
  const app = await openApp(t, {
    answers: {
      answer: async (requested, { platform }) => {
        platforms.push(platform)
        return anAnswer({ requested })
      },
    },
  })

  await ask(app, {
    method: 'POST',
    url,
    payload: { references: ['a', 'b'], platform: 'linux/arm64' },
  })

  assert.deepEqual(platforms, ['linux/arm64', 'linux/arm64'])
})

test('at most 12 are asked for at one time, of all batches together', async (t) => {
  let running = 0
  let most = 0
  const references = Array.from({ length: 100 }, (_, index) => `image-${index}`)
  const app = await openApp(t, {
    answers: {
      answer: async (requested) => {
        running += 1
        most = Math.max(most, running)
        for (let turns = 0; turns < 30; turns += 1) await new Promise(setImmediate)
        running -= 1
        return anAnswer({ requested })
      },
    },
  })

  const responses = await Promise.all(
    [1, 2, 3].map(() => ask(app, { method: 'POST', url, payload: { references } })),
  )

  assert.equal(most, 12)
  for (const response of responses) {
    assert.deepEqual(
      response.json().results.map(({ requested }: { requested: string }) => requested),
      references,
    )
  }
})

test('a client with four batches is told when to come with the next one', async (t) => {
  let asked = 0
  const answers = endlessAnswers(() => {
    asked += 1
  })
  const app = await openApp(t, { answers })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const left = new AbortController()
  t.after(() => left.abort())
  const post = (signal = left.signal): Promise<Response> =>
    fetch(`${address}/resolve`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ references: ['nginx'] }),
      signal,
    })
  for (let count = 0; count < 4; count += 1) post().catch(() => {})
  while (asked < 4) await new Promise(setImmediate)

  const refused = await post()

  assert.equal(refused.status, 429)
  assert.equal(refused.headers.get('retry-after'), '2')
  assert.match(await refused.text(), /4 of this client's POST \/resolve/)
  assert.equal((await fetch(`${address}/livez`)).status, 200)
})

test('a batch that is over makes room for the next one', async (t) => {
  const app = await openApp(t)
  for (let count = 0; count < 40; count += 1) {
    const response = await ask(app, { method: 'POST', url, payload: { references: ['nginx'] } })
    assert.equal(response.statusCode, 200)
  }
})

test('no more is resolved than the reader is behind by', { timeout: 60_000 }, async (t) => {
  let answered = 0
  const long = 'x'.repeat(200_000)
  const app = await openApp(t, {
    limits: { maxResultsAhead: 8 },
    answers: {
      answer: async (requested) => {
        answered += 1
        return anAnswer({ requested, mediaType: long })
      },
    },
  })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const left = new AbortController()
  const references = Array.from({ length: 1_000 }, (_, index) => `image-${index}`)
  await fetch(`${address}/resolve`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ references }),
    signal: left.signal,
  })

  let before = -1
  while (answered !== before) {
    before = answered
    for (let turns = 0; turns < 200; turns += 1) await new Promise(setImmediate)
  }
  left.abort()

  assert.ok(answered < 500, `${answered} were resolved for a reader that reads nothing`)
})

test('what is not answered in time has a result that says so', async (t) => {
  const app = await openApp(t, { answers: endlessAnswers(), manyTimeoutMs: 20 })
  const address = await app.listen({ host: '127.0.0.1', port: 0 })
  const references = Array.from({ length: 20 }, (_, index) => `image-${index}`)

  const response = await fetch(`${address}/resolve`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ references }),
  })

  const { results } = (await response.json()) as { results: { error: { errors: unknown[] } }[] }
  assert.equal(results.length, 20)
  for (const { error } of results) {
    assert.equal((error.errors[0] as { code: string }).code, 'DEADLINE_EXCEEDED')
  }
})

test('an unexpected error is told by its code alone', async (t) => {
  const app = await openApp(t, {
    answers: { answer: () => Promise.reject(new TypeError('internals')) },
  })

  const response = await ask(app, { method: 'POST', url, payload: { references: ['a'] } })

  assert.equal(response.json().results[0].error.errors[0].code, 'UNKNOWN')
  assert.ok(!response.body.includes('internals'))
})

function fields(count: number): string {
  return Array.from({ length: count }, (_, index) => `"${index}":0`).join()
}

const refused: readonly (readonly [string, unknown, number, RegExp])[] = [
  ['no JSON', '{ references', 400, /not JSON/],
  ['no object', '[]', 400, /must be a JSON object/],
  ['nothing', '', 400, /must be a JSON object/],
  ['an unknown field', { references: ['a'], explain: true }, 400, /unknown field 'explain'/],
  ['no references', {}, 400, /'references' is missing/],
  ['an empty list', { references: [] }, 400, /1 to 1000 items, not 0/],
  ['1,001 of them', { references: Array(1001).fill('a') }, 400, /not 1001/],
  ['a reference that is no text', { references: ['a', 1] }, 400, /'references'\[1\] must be text/],
  ['a platform that is no text', { references: ['a'], platform: {} }, 400, /'platform' must be/],
  ['lists in lists', '['.repeat(100_000), 400, /more than 4096 parts/],
  ['objects in objects', '{"a":'.repeat(40_000), 400, /more than 4096 parts/],
  ['ever new fields', `{${fields(20_000)}}`, 400, /more than 4096 parts/],
  ['more than 256 KiB', { references: ['a'.repeat(300_000)] }, 413, /too large/],
]

for (const [what, payload, status, message] of refused) {
  test(`a body of ${what} is refused with ${status}`, async (t) => {
    const app = await openApp(t)

    const response = await ask(app, {
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json' },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    })

    assert.equal(response.statusCode, status)
    assert.equal(response.json().errors[0].code, 'REQUEST_INVALID')
    assert.match(response.json().errors[0].message, message)
  })
}

test('a thousand of the longest names are within the limits', async (t) => {
  const app = await openApp(t, { answers })
  const references = Array.from(
    { length: 1000 },
    (_, index) => `[::1]:5000/${'a'.repeat(155)}/${index}@sha256:${'0'.repeat(64)}`,
  )

  const response = await ask(app, { method: 'POST', url, payload: { references } })

  assert.equal(response.json().results.length, 1000)
})

test('a body that is not application/json is a 415', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, {
    method: 'POST',
    url,
    headers: { 'content-type': 'text/plain' },
    payload: '{"references":["a"]}',
  })

  assert.equal(response.statusCode, 415)
})

test('a client that leaves before the first answer is no error of the service', async (t) => {
  const logged: unknown[] = []
  const logger = { ...silentLogger(), error: (...line: unknown[]) => logged.push(line) }
  let onAsked = (_signal: AbortSignal): void => {}
  const asked = new Promise<AbortSignal>((resolve) => {
    onAsked = resolve
  })
  const app = await openApp(t, { answers: endlessAnswers(onAsked), logger })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const client = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  const body = JSON.stringify({ references: ['nginx'] })
  const head = `content-type: application/json\r\ncontent-length: ${body.length}`

  client.write(`POST ${url} HTTP/1.1\r\nhost: localhost\r\n${head}\r\n\r\n${body}`)
  const signal = await asked
  client.destroy()
  if (!signal.aborted) await once(signal, 'abort')
  await app.close()

  assert.deepEqual(logged, [])
})
