import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseReference } from '../../../src/reference/reference.ts'
import { availabilityOf } from '../../../src/resolver/availability.ts'
import { openAnswers, openAvailability } from '../../../src/service/commands.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { openApp, someRegistries, TOKEN } from '../../support/http-app.ts'
import { startServer } from '../../support/http-server.ts'
import { buildImage } from '../../support/images.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** A service that is asked from elsewhere, in front of a hub and an origin. */
async function scene(t: TestContext) {
  const [hub, origin] = await Promise.all([FakeRegistry.start(t), FakeRegistry.start(t)])
  const folder = temporaryFolder(t)
  const file = join(folder, 'config.yaml')
  const registries = [{ address: origin.url, upstreams: [origin.host] }]
  writeFileSync(file, JSON.stringify({ image: folder, address: hub.url, registries }))
  const answers = await openAnswers({ file }, {})
  t.after(() => answers.close())
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
  const [answers, availability] = await Promise.all([openAnswers(place), openAvailability(place)])
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

test('a service that is not there, or is another one, is named', async (t) => {
  const redirecting = await startServer(t, (_request, response) => {
    response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()
  })
  const closed = 'http://127.0.0.1:9'
  for (const server of [closed, redirecting.url]) {
    const answers = await openAnswers({ file: undefined, server })
    await assert.rejects(answers.answer('nginx', {}), (error: Error & { code: string }) => {
      assert.equal(error.code, 'UNAVAILABLE')
      return error.message.startsWith(`${server} does not answer: `)
    })
  }
  for (const server of ['ftp://x', 'http://user:secret@x', 'x:9430']) {
    await assert.rejects(
      openAnswers({ file: undefined, server }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'CONFIG_INVALID')
        return !error.message.includes('secret')
      },
    )
  }
})
