import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { request } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { AN_IMAGE, IMAGE_ID, openApp, someImages, WITH_TOKEN } from '../../support/http-app.ts'
import { ask } from '../../support/openapi.ts'

const noRuntime = new ResolveError('UNAVAILABLE', 'there is no CRI runtime on this machine')

test('GET /images lists what the runtime has', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, { url: '/images', headers: WITH_TOKEN })

  assert.equal(response.statusCode, 200)
  assert.deepEqual(response.json(), { images: [AN_IMAGE] })
})

const spellings: readonly (readonly [string, string])[] = [
  ['/images/docker.io/library/nginx:latest', 'docker.io/library/nginx:latest'],
  ['/images/docker.io%2Flibrary%2Fnginx%3Alatest', 'docker.io/library/nginx:latest'],
  [`/images/nginx@${IMAGE_ID}`, `nginx@${IMAGE_ID}`],
  [`/images/${IMAGE_ID}`, IMAGE_ID],
  ['/images/pull', 'pull'],
]

for (const [url, name] of spellings) {
  test(`GET ${url.slice(0, 60)} asks for the image of that name`, async (t) => {
    const asked: string[] = []
    const app = await openApp(t, {
      ...someImages({
        status: async (image) => {
          asked.push(image)
          return AN_IMAGE
        },
      }),
    })

    const response = await ask(app, { url, headers: WITH_TOKEN })

    assert.deepEqual(asked, [name])
    assert.deepEqual(response.json(), AN_IMAGE)
  })
}

test('an image that the runtime has not is a 404', async (t) => {
  const app = await openApp(t)

  const response = await ask(app, { url: '/images/nope', headers: WITH_TOKEN })

  assert.equal(response.statusCode, 404)
  assert.deepEqual(response.json().errors[0], {
    code: 'MANIFEST_UNKNOWN',
    message: 'the runtime has no image "nope"',
    detail: {},
  })
})

test('DELETE removes by name or ID and has nothing to say', async (t) => {
  const removed: string[] = []
  const app = await openApp(t, {
    ...someImages({
      remove: async (image) => {
        removed.push(image)
      },
    }),
  })

  const response = await ask(app, {
    method: 'DELETE',
    url: '/images/docker.io/library/nginx:latest',
    headers: WITH_TOKEN,
  })

  assert.equal(response.statusCode, 204)
  assert.equal(response.body, '')
  assert.deepEqual(removed, ['docker.io/library/nginx:latest'])
})

for (const method of ['GET', 'DELETE'] as const) {
  test(`${method} of the empty name is refused: to a runtime it begins every ID`, async (t) => {
    const node = someImages({ status: assert.fail, remove: assert.fail })
    const app = await openApp(t, node)

    const response = await app.inject({ method, url: '/images/', headers: WITH_TOKEN })

    assert.equal(response.statusCode, 400)
    assert.match(response.json().errors[0].message, /^name an image/)
  })
}

test('without a runtime every route of images is a 502 that says so', async (t) => {
  const fail = () => Promise.reject(noRuntime)
  const node = someImages({ check: fail, list: fail, status: fail, remove: fail, pull: fail })
  const app = await openApp(t, node)
  const headers = WITH_TOKEN

  const responses = [
    await ask(app, { url: '/images', headers: WITH_TOKEN }),
    await ask(app, { url: '/images/nginx', headers: WITH_TOKEN }),
    await ask(app, { method: 'DELETE', url: '/images/nginx', headers }),
    await ask(app, {
      method: 'POST',
      url: '/images/pull',
      headers,
      payload: { reference: 'nginx' },
    }),
  ]

  for (const response of responses) {
    assert.equal(response.statusCode, 502)
    assert.equal(response.json().errors[0].code, 'UNAVAILABLE')
    assert.equal(response.json().errors[0].message, noRuntime.message)
  }
})

test('a name that no image can have is refused before the runtime is asked', async (t) => {
  const app = await openApp(t, {
    ...someImages({ status: async () => assert.fail('it was asked') }),
  })

  const response = await ask(app, { url: `/images/${'x'.repeat(1_025)}`, headers: WITH_TOKEN })

  assert.equal(response.statusCode, 400)
  assert.match(response.json().errors[0].message, /1025 characters, at most 1024/)
})

test('a client that leaves while what asks the runtime is loaded ends its question', async (t) => {
  const loading = new EventEmitter()
  const asked = once(loading, 'asked')
  const listed = once(loading, 'listed')
  const images = someImages({
    check: async () => {
      const loaded = once(loading, 'loaded')
      loading.emit('asked')
      await loaded
    },
    list: async (signal) => {
      loading.emit('listed', signal?.aborted)
      return []
    },
  })
  const app = await openApp(t, images)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const connected = once(app.server, 'connection')
  const client = request({ port, host: '127.0.0.1', path: '/images', headers: WITH_TOKEN })
  client.on('error', () => {}).end()
  const [socket] = (await connected) as [Socket]
  await asked
  const closed = once(socket, 'close')
  client.destroy()
  await closed
  loading.emit('loaded')

  assert.deepEqual(await listed, [true])
})
