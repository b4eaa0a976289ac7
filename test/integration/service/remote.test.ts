import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parseReference } from '../../../src/reference/reference.ts'
import { toResolveResponse } from '../../../src/resolver/answers.ts'
import { availabilityOf } from '../../../src/resolver/availability.ts'
import { openResolver } from '../../../src/service/open.ts'
import { anAnswer, openApp, someRegistries, TOKEN } from '../../support/http-app.ts'
import { readText, startServer } from '../../support/http-server.ts'
import { startHubAndOrigin } from '../../support/hub-and-origin.ts'
import { buildImage, buildIndex } from '../../support/images.ts'
import { AMD64 } from '../../support/registry-images.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** A service that is asked from elsewhere, in front of a hub and an origin. */
async function scene(t: TestContext) {
  const { folder, hub, origin, resolver: answers } = await startHubAndOrigin(t)
  const status = { ...someRegistries().statuses()[0], address: hub.url, name: hub.host }
  const statuses = () => [status, { ...status, address: origin.url, name: origin.host }] as never
  const app = await openApp(t, { answers, registries: someRegistries({ statuses }) })
  const server = await app.listen({ host: '127.0.0.1', port: 0 })
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, `${TOKEN}\n`)
  const place = { file: undefined, server, tokenFile }
  return { hub, origin, place, reference: (name: string) => `${origin.host}/${name}` }
}

test('a service elsewhere says which image it is, and at which of its registries', async (t) => {
  const { hub, origin, place, reference } = await scene(t)
  const image = buildImage()
  for (const registry of [hub, origin]) registry.put('team/both', '1', image)
  origin.put('team/origin', '1', image)
  const [answers, availability] = await Promise.all([openResolver(place), openResolver(place)])
  const stateOf = async (name: string) =>
    availabilityOf(await availability.places(parseReference(reference(name))))

  assert.equal((await answers.answer(reference('team/both:1'), {})).digest, image.digest)
  await assert.rejects(answers.answer(reference('team/none:1'), {}), { code: 'MANIFEST_UNKNOWN' })
  assert.equal(await stateOf('team/both:1'), 'everywhere')
  assert.equal(await stateOf('team/origin:1'), 'origin-only')
  assert.equal(await stateOf('team/none:1'), 'gone')
  const places = await availability.places(parseReference(reference('team/both:1')))
  assert.deepEqual(
    places.map(({ configured, plainHttp }) => [configured, plainHttp]),
    [
      [true, true],
      [true, true],
    ],
  )
})

test('many references go to the service in a few requests', async (t) => {
  const { hub, place, reference } = await scene(t)
  const image = buildImage()
  const names = Array.from({ length: 250 }, (_, index) => `team/app-${index}`)
  for (const name of names) hub.put(name, '1', image)
  const availability = await openResolver(place)
  t.after(() => availability.close())

  const found = await Promise.all(
    names.map((name) => availability.places(parseReference(reference(`${name}:1`)))),
  )

  assert.ok(found.every((places) => availabilityOf(places) === 'private-only'))
  assert.deepEqual(availability.requests(), { HEAD: 0, GET: 1, POST: 3 })
})

test('of a service elsewhere it is asked for which platforms an image is there', async (t) => {
  const { hub, origin, place, reference } = await scene(t)
  const ARM64 = { os: 'linux', architecture: 'arm64' }
  const [amd, arm] = [buildImage({ seed: 'a' }), buildImage({ seed: 'b', platform: ARM64 })]
  const both = buildIndex([amd, arm])
  hub.put('team/both', '1', both)
  origin.put('team/both', '1', both)
  origin.put('team/arm', '1', buildIndex([arm]))
  const availability = await openResolver(place)
  t.after(() => availability.close())
  const ask = async (name: string, platforms = [AMD64, ARM64]) =>
    (await availability.places(parseReference(reference(name)), { platforms })).map(
      ({ digest, platforms, state }) => [state, platforms, digest],
    )

  const everywhere = ['present', ['linux/amd64', 'linux/arm64'], both.digest]
  assert.deepEqual(await ask('team/both:1'), [everywhere, everywhere])
  const [hubHas, originHas] = await ask('team/arm:1')
  assert.equal(hubHas?.[0], 'absent')
  assert.deepEqual(originHas?.slice(0, 2), ['present', ['linux/arm64']])
  // Also where none is named: it is there, though not for the machine of the service.
  const other = { os: 'windows', architecture: 'amd64' }
  assert.deepEqual(
    (await ask('team/arm:1', [other])).map(([state, has]) => [state, has]),
    [
      ['absent', undefined],
      ['present', []],
    ],
  )
})

test('a service that asks to wait is waited for, and the rest of an answer that breaks off is asked for again', async (t) => {
  const posted: string[][] = []
  const line = (requested: string): string =>
    `${JSON.stringify({ requested, answer: toResolveResponse(anAnswer({ requested }), false, false) })}\n`
  const { url } = await startServer(t, async (request, response) => {
    const { references } = JSON.parse(await readText(request))
    posted.push(references)
    if (posted.length <= 2) {
      const body = { errors: [{ code: 'TOOMANYREQUESTS', message: 'later', detail: {} }] }
      response.writeHead(429, { 'retry-after': '0' }).end(JSON.stringify(body))
    } else if (posted.length === 3) {
      response.write(line(references[0]) + line(references[1]), () => response.destroy())
    } else response.end(references.map(line).join(''))
  })
  const answers = await openResolver({ file: undefined, server: url })
  t.after(() => answers.close())

  const names = ['a:1', 'b:1', 'c:1', 'd:1']
  const found = await Promise.all(names.map((name) => answers.answer(name, {})))

  assert.deepEqual(
    found.map(({ requested }) => requested),
    names,
  )
  assert.deepEqual(posted, [names, names, names, ['c:1', 'd:1']])
})

test('a service that refuses again and again is asked no more', async (t) => {
  let asked = 0
  const { url } = await startServer(t, (_request, response) => {
    asked += 1
    const body = { errors: [{ code: 'TOOMANYREQUESTS', message: 'later', detail: {} }] }
    response.writeHead(429, { 'retry-after': '0' }).end(JSON.stringify(body))
  })
  const answers = await openResolver({ file: undefined, server: url })
  t.after(() => answers.close())

  await assert.rejects(answers.answer('nginx', {}), { code: 'TOOMANYREQUESTS' })
  assert.equal(asked, 11)
})

test('an answer of a service that ends too early, or has no end, is a failure', async (t) => {
  const endless = Buffer.alloc(1024 * 1024, 'x')
  const { url } = await startServer(t, async (request, response) => {
    const { references } = JSON.parse(await readText(request))
    if (references[0] === 'short') return void response.end()
    const send = (): void => void response.write(endless, () => !response.destroyed && send())
    response.on('error', () => {})
    send()
  })
  const answers = await openResolver({ file: undefined, server: url })
  t.after(() => answers.close())

  await assert.rejects(answers.answer('short', {}), {
    code: 'UNAVAILABLE',
    message: 'its answer ends before 1 of its results',
  })
  await assert.rejects(answers.answer('long', {}), { code: 'UNAVAILABLE', message: /64 MiB/ })
})

test('nothing of an answer is waited for once all of it that counts has come', {
  timeout: 60_000,
}, async (t) => {
  let gone: Promise<unknown> | undefined
  const server = await startServer(t, async (request, response) => {
    gone = once(request.socket, 'close')
    const { references } = JSON.parse(await readText(request))
    const answer = toResolveResponse(anAnswer({ requested: references[0] }), false)
    response.setHeader('content-type', 'application/x-ndjson')
    response.write(`${JSON.stringify({ reference: references[0], answer })}\n`)
  })
  const answers = await openResolver({ file: undefined, server: server.url })
  await answers.answer('team/app:1', {})
  // What holds on to a signal by a weak reference alone loses it.
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()

  await answers.close()

  assert.ok(gone)
  await gone
})

test('a file that holds no token is not shown', async (t) => {
  const tokenFile = join(temporaryFolder(t), 'key')
  for (const text of ['-----BEGIN PRIVATE KEY-----\nsecret\n', 'sécret', '\n']) {
    writeFileSync(tokenFile, text)
    await assert.rejects(
      openResolver({ file: undefined, server: 'http://127.0.0.1:1', tokenFile }),
      {
        code: 'CONFIG_INVALID',
        message: `${tokenFile} holds no token, which is one line of ASCII`,
      },
    )
  }
})

test('a service that is not there, or is another one, is named', async (t) => {
  const redirecting = await startServer(t, (_request, response) => {
    response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
  })
  const closed = 'http://127.0.0.1:9'
  for (const server of [closed, redirecting.url]) {
    const answers = await openResolver({ file: undefined, server })
    await assert.rejects(answers.answer('nginx', {}), (error: Error & { code: string }) => {
      assert.equal(error.code, 'UNAVAILABLE')
      return error.message.startsWith(`${server} does not answer: `)
    })
  }
  for (const server of ['ftp://x', 'http://user:secret@x', 'x:9430']) {
    await assert.rejects(
      openResolver({ file: undefined, server }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        return !error.message.includes('secret')
      },
    )
  }
})
