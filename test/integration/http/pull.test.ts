import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { PullEvent, PullsResponse } from '../../../api/v1/images.ts'
import { ResolveError } from '../../../src/errors.ts'
import {
  documentErrors,
  IMAGE_ID,
  openApp,
  someImages,
  WITH_TOKEN,
} from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

const pull = {
  method: 'POST',
  url: '/images/pull',
  headers: WITH_TOKEN,
  payload: { reference: 'nginx' },
} as const

/** Data of the events, whose names must be the states. */
function eventsIn(body: string): PullEvent[] {
  return body
    .split('\n\n')
    .filter((text) => text !== '')
    .map((text) => {
      const [, name, data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(text) ?? []
      const event = JSON.parse(data) as PullEvent
      assert.equal(event.state, name)
      return event
    })
}

test('a pull is told from its beginning to its end', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, pull)

  assert.equal(response.statusCode, 200)
  assert.equal(response.headers['content-type'], 'text/event-stream')
  const events = eventsIn(response.body)
  assert.deepEqual(events, [
    { state: 'pulling', reference: 'nginx', seconds: 0 },
    { state: 'pulled', reference: 'nginx', seconds: 0, imageId: IMAGE_ID },
  ])
  for (const event of events) {
    assert.deepEqual(await documentErrors(PullEvent.$id, event), [])
  }
})

test('a pull that fails says why in its last event', async (t) => {
  const error = new ResolveError('UNAUTHORIZED', 'docker.io: pull access denied')
  const app = await openApp(t, {
    ...someImages({ pull: () => Promise.reject(error) }),
  })

  const response = await ask(app, pull)

  assert.deepEqual(eventsIn(response.body).at(-1), {
    state: 'failed',
    reference: 'nginx',
    seconds: 0,
    error: { code: 'UNAUTHORIZED', message: 'docker.io: pull access denied' },
  })
})

test('an unexpected failure keeps its message to itself', async (t) => {
  const app = await openApp(t, {
    ...someImages({ pull: () => Promise.reject(new TypeError('internals')) }),
  })

  const response = await ask(app, pull)

  assert.equal(eventsIn(response.body).at(-1)?.error?.code, 'UNKNOWN')
  assert.ok(!response.body.includes('internals'))
})

test('what is no reference is a 400, and nothing is pulled', async (t) => {
  const app = await openApp(t, { ...someImages({ pull: assert.fail }) })

  const response = await ask(app, { ...pull, payload: { reference: 'Nginx' } })

  assert.equal(response.statusCode, 400)
  assert.equal(response.json().errors[0].code, 'NAME_INVALID')
})

test('a body that is longer than any name is a 413', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, { ...pull, payload: { reference: 'a'.repeat(17_000) } })

  assert.equal(response.statusCode, 413)
})

test('an unknown field of the body is refused by name', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, { ...pull, payload: { reference: 'a', force: true } })

  assert.equal(response.statusCode, 400)
  assert.match(response.json().errors[0].message, /unknown field 'force'; known are reference/)
})

async function urlOf(app: FastifyInstance): Promise<string> {
  return `${await app.listen({ host: '127.0.0.1', port: 0 })}/images/pull`
}

function post(t: TestContext, url: string) {
  const leaving = new AbortController()
  t.after(() => leaving.abort())
  const response = fetch(url, {
    method: 'POST',
    headers: { ...WITH_TOKEN, 'content-type': 'application/json' },
    body: JSON.stringify(pull.payload),
    signal: leaving.signal,
  })
  return { leaving, response }
}

test('the first event comes at once, and a client that leaves cancels the pull', {
  timeout: 60_000,
}, async (t) => {
  let seen: AbortSignal | undefined
  const node = someImages({
    pull: (_reference, signal) => {
      seen = signal
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    },
  })
  const app = await openApp(t, node)
  const { leaving, response } = post(t, await urlOf(app))
  const reader = (await response).body?.getReader()

  const first = new TextDecoder().decode((await reader?.read())?.value)
  assert.match(first, /^event: pulling\n/)
  leaving.abort()
  await reader?.closed.catch(() => {})

  assert.ok(seen)
  if (!seen.aborted) await once(seen, 'abort')
})

test('while it runs, a pull tells how far its layers are, every second', async (t) => {
  let end: (imageId: string) => void = () => {}
  const looks: string[] = []
  const layers = { done: 1, total: 3, bytes: 10, totalBytes: 40 }
  const app = await openApp(t, {
    ...someImages({
      pull: () =>
        new Promise((resolve) => {
          end = resolve
        }),
      layersOf: async (reference) => {
        looks.push(reference)
        if (looks.length === 1) return undefined
        end(IMAGE_ID)
        return layers
      },
    }),
  })

  const events = eventsIn((await ask(app, pull)).body)

  assert.deepEqual(
    events.map(({ layers: told, state }) => [state, told]),
    [
      ['pulling', undefined],
      ['pulling', layers],
      ['pulled', undefined],
    ],
  )
  assert.deepEqual([...new Set(looks)], ['nginx'])
  for (const event of events) assert.deepEqual(await documentErrors(PullEvent.$id, event), [])
})

test('the pulls that run are told to whom the images are told', async (t) => {
  const running = {
    running: 1,
    pulls: [
      {
        reference: 'nginx',
        since: '2026-01-02T03:04:05.000Z',
        seconds: 2,
        registry: null,
        pod: { namespace: 'default', name: 'web' },
        layers: { done: 0, total: 2, bytes: 0, totalBytes: 40 },
      },
    ],
  }
  const app = await openApp(t, { ...someImages({ pulls: async () => running }) })

  const told = await ask(app, { method: 'GET', url: '/pulls', headers: WITH_TOKEN })
  const refused = await ask(app, { method: 'GET', url: '/pulls' })

  assert.deepEqual(told.json(), running)
  assert.deepEqual(await documentErrors(PullsResponse.$id, told.json()), [])
  assert.equal(refused.statusCode, (await ask(app, { method: 'GET', url: '/images' })).statusCode)
  assert.ok(refused.statusCode === 401 || refused.statusCode === 403)
})
