import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { startServer } from '../../support/http-server.ts'
import { buildImage } from '../../support/images.ts'
import { place, startMirror } from '../../support/mirror.ts'
import { AMD64, ask, startImages } from '../../support/registry-images.ts'
import { type Step, startScriptedRegistry } from '../../support/scripted-registry.ts'
import { startTokenServer } from '../../support/token-server.ts'
import { until } from '../../support/until.ts'

const IMAGE = buildImage({ seed: 'too many' })
const ENVELOPE = { code: 'TOOMANYREQUESTS', message: 'retry-after: 2.5s, allowed: 44000/minute' }
const IN_BODY: Step = { status: 429, body: JSON.stringify({ errors: [ENVELOPE] }), always: true }

function waits(ms: number) {
  return (thrown: unknown): true => {
    assert.ok(thrown instanceof ResolveError)
    assert.deepEqual([thrown.code, thrown.retryAfterMs], ['TOOMANYREQUESTS', ms])
    return true
  }
}

for (const [value, ms] of [
  ['0.5', 500],
  ['-3', 0],
  ['7', 7_000],
] as const) {
  test(`Retry-After ${value} is a wait of ${ms} ms for an image, a HEAD, tags and a blob`, async (t) => {
    const headers = { 'retry-after': value }
    const registry = await startScriptedRegistry(t, [{ status: 429, headers, always: true }])
    const images = startImages(t)
    const request = ask(registry, 'library/app', '1')

    await assert.rejects(images.image(request, AMD64), waits(ms))
    await assert.rejects(images.digest(request), waits(ms))
    await assert.rejects(images.tags(request), waits(ms))
    await assert.rejects(images.ping(request), waits(ms))
  })
}

test('a wait that only the body names is read for images and for tags', async (t) => {
  const registry = await startScriptedRegistry(t, [IN_BODY])
  const images = startImages(t)
  const request = ask(registry, 'library/app', '1')

  await assert.rejects(images.image(request, AMD64), waits(2_500))
  await assert.rejects(images.tags(request), waits(2_500))
})

test('a wait that a token service names is read as that of a registry is', async (t) => {
  const body = IN_BODY.body as string
  const tokens = await startTokenServer(t, { answer: () => ({ status: 429, body }) })
  const headers = { 'www-authenticate': tokens.challenge }
  const registry = await startScriptedRegistry(t, [{ status: 401, headers, always: true }])

  await assert.rejects(startImages(t).image(ask(registry, 'library/app', '1'), AMD64), waits(2_500))
})

test('a client of our own /v2 gets the Retry-After of a registry', async (t) => {
  const registry = await startScriptedRegistry(t, [IN_BODY])

  for (const kind of ['manifests', 'blobs']) {
    const mirror = await startMirror(t, [place(registry)])
    const { status, headers } = await mirror.get(`/v2/library/app/${kind}/${IMAGE.digest}`)

    assert.deepEqual([kind, status, headers['retry-after']], [kind, 429, '3'])
  }
})

test('a refusal whose body never ends does not outlive its question', async (t) => {
  let open = 0
  const registry = await startServer(t, (_, response) => {
    open += 1
    response.writeHead(404)
    const drip = setInterval(() => response.write(' '), 10)
    response.once('close', () => {
      clearInterval(drip)
      open -= 1
    })
  })
  const mirror = await startMirror(t, [place(registry)], { limits: { totalMs: 200 } })

  const { status } = await mirror.get(`/v2/library/app/blobs/${IMAGE.digest}`)

  assert.equal(status, 504)
  // On a busy machine the time may have been over before it was asked.
  await until(() => open === 0)
})
