import assert from 'node:assert/strict'
import { test } from 'node:test'
import { documentErrors, openApp } from '../../support/http-app.ts'

test('/livez answers while every door is closed', async (t) => {
  const readiness = { check: async () => [{ door: 'shim', open: false }] }
  const app = await openApp(t, { readiness })

  const response = await app.inject('/livez')

  assert.equal(response.statusCode, 200)
  assert.deepEqual(response.json(), { status: 'live' })
  assert.deepEqual(await documentErrors('LiveResponse', response.json()), [])
  assert.equal(response.headers['cache-control'], 'no-store')
})

test('/readyz is 200 when every door is open', async (t) => {
  const doors = [
    { door: 'http', open: true },
    { door: 'shim', open: true },
  ]
  const app = await openApp(t, { readiness: { check: async () => doors } })

  const response = await app.inject('/readyz')

  assert.equal(response.statusCode, 200)
  assert.deepEqual(response.json(), { status: 'ready', doors })
  assert.deepEqual(await documentErrors('ReadyResponse', response.json()), [])
})

test('/readyz is 503 when one door is closed, and says which and why', async (t) => {
  const doors = [
    { door: 'http', open: true },
    { door: 'shim', open: false, reason: 'the runtime does not answer' },
  ]
  const app = await openApp(t, { readiness: { check: async () => doors } })

  const response = await app.inject('/readyz')
  const head = await app.inject({ method: 'HEAD', url: '/readyz' })

  assert.equal(response.statusCode, 503)
  assert.equal(head.statusCode, 503)
  assert.deepEqual(response.json(), { status: 'not_ready', doors })
  assert.deepEqual(await documentErrors('ReadyResponse', response.json()), [])
})

test('/readyz is 500 when the doors cannot be looked at', async (t) => {
  const readiness = { check: () => Promise.reject(new Error('internals')) }
  const app = await openApp(t, { readiness })

  const response = await app.inject('/readyz')

  assert.equal(response.statusCode, 500)
  assert.ok(!response.body.includes('internals'))
})

test('/readyz tells at once that a door has opened', async (t) => {
  let open = false
  const app = await openApp(t, {
    readiness: { check: async () => [{ door: 'cri', open }] },
  })

  const before = (await app.inject('/readyz')).statusCode
  open = true
  const after = (await app.inject('/readyz')).statusCode

  assert.deepEqual([before, after], [503, 200])
})
