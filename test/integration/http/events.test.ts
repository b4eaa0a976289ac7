import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { RegistryEvent } from '../../../src/http/types.ts'
import { NOW, openApp, TOKEN, WITH_TOKEN } from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

const PUSH = JSON.stringify({
  events: [{ action: 'push', target: { repository: 'a/b', tag: 'c' }, request: { host: 'hub' } }],
})
const JSON_BODY = { 'content-type': 'application/json' }
const post = { method: 'POST', url: '/events/registry', payload: PUSH } as const

const notTaken = async (): Promise<never> => assert.fail('it was taken')

function signature(body: string, key = TOKEN): Record<string, string> {
  const made = createHmac('sha256', key).update(body).digest('hex')
  return { 'x-hub-signature-256': `sha256=${made}` }
}

function basic(pair: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

test('a notification is taken by token, password or signature, in the types that registries send', async (t) => {
  const events: RegistryEvent[] = []
  const onEvent = async (event: RegistryEvent) => events.push(event)
  const app = await openApp(t, { onEvent })
  const shown = [WITH_TOKEN, basic(`registry:${TOKEN}`), basic(`:${TOKEN}`), signature(PUSH)]
  const types = [
    'application/json; charset=utf-8',
    'application/vnd.docker.distribution.events.v1+json',
    'application/vnd.docker.distribution.events.v2+json',
    'application/cloudevents+json',
  ]

  for (const [index, headers] of shown.entries()) {
    const type = { 'content-type': types[index] ?? '' }
    const response = await ask(app, { ...post, headers: { ...headers, ...type } })

    assert.equal(response.statusCode, 200, response.body)
    assert.deepEqual(response.json(), { tags: 1, expired: index + 1 })
  }
  const changes = [{ host: 'hub', repository: 'a/b', tag: 'c' }]
  assert.deepEqual(events, Array(4).fill({ format: 'distribution', changes }))
})

test('nothing is taken without the token', async (t) => {
  const app = await openApp(t, { onEvent: notTaken })
  const wrong = [
    {},
    { authorization: 'Bearer nope' },
    basic('registry:nope'),
    basic(TOKEN),
    signature(PUSH, 'nope'),
    signature(`${PUSH} `),
    { 'x-hub-signature-256': '' },
    { 'x-hub-signature-256': 'sha1=0' },
  ]

  for (const headers of wrong) {
    const response = await ask(app, { ...post, headers: { ...JSON_BODY, ...headers } })

    assert.equal(response.statusCode, 401, JSON.stringify(headers))
  }
})

test('a signature or a password opens no other route', async (t) => {
  const app = await openApp(t)

  for (const headers of [signature(''), basic(`registry:${TOKEN}`)]) {
    const response = await ask(app, { method: 'DELETE', url: '/images/nginx', headers })

    assert.equal(response.statusCode, 401)
  }
})

test('without a token in the configuration it is off, and where it is not configured there is no such path', async (t) => {
  const headers = { ...JSON_BODY, ...WITH_TOKEN }
  const closed = await openApp(t, { access: {}, onEvent: notTaken })
  const absent = await openApp(t)

  assert.equal((await ask(closed, { ...post, headers })).statusCode, 403)
  assert.equal((await absent.inject({ ...post, headers })).statusCode, 404)
})

test('bodies are bounded and have to be notifications', async (t) => {
  const app = await openApp(t, { onEvent: notTaken })
  const statusOf = async (payload: string, type = 'application/json'): Promise<number> => {
    const headers = { 'content-type': type, ...WITH_TOKEN }
    return (await ask(app, { ...post, payload, headers })).statusCode
  }

  assert.equal(await statusOf(JSON.stringify({ events: 'x'.repeat(256 * 1024) })), 413)
  assert.equal(await statusOf(PUSH, 'text/plain'), 415)
  for (const body of [
    '',
    '{',
    '{"a":1}',
    '{"events":[],"events":[]}',
    `[${'1,'.repeat(5_000)}1]`,
  ]) {
    assert.equal(await statusOf(body), 400, body.slice(0, 40))
  }
})

test('a notification without a body is refused', async (t) => {
  const app = await openApp(t, { onEvent: notTaken })
  const { method, url } = post
  const types = [{}, JSON_BODY, { ...JSON_BODY, 'content-length': '0' }]

  for (const type of types) {
    const response = await ask(app, { method, url, headers: { ...WITH_TOKEN, ...type } })

    assert.equal(response.statusCode, 400, response.body)
  }
})

test('a client that sends very many is told when to come again', async (t) => {
  let now = NOW
  const app = await openApp(t, { onEvent: async () => 0, now: () => now })
  const send = () => ask(app, { ...post, headers: { ...JSON_BODY, ...WITH_TOKEN } })
  for (let count = 0; count < 3_000; count += 1) await app.inject({ ...post, headers: WITH_TOKEN })

  const refused = await send()
  now += 1_000

  assert.equal(refused.statusCode, 429)
  assert.equal(refused.headers['retry-after'], '1')
  assert.equal((await send()).statusCode, 200)
})
