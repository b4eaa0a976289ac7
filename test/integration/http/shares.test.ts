import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { Answers } from '../../../src/http/types.ts'
import { anAnswer, endlessAnswers, openApp, someService } from '../../support/http-app.ts'

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`

/** A connection, and what has come of it. */
interface Caller {
  readonly socket: Socket
  heard(): string
  readonly closed: Promise<unknown>
}

async function call(
  t: TestContext,
  app: FastifyInstance,
  text = '',
  localAddress = '127.0.0.1',
): Promise<Caller> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const accepted = once(app.server, 'connection')
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await accepted
  socket.write(text)
  return { socket, heard: () => heard, closed }
}

async function answered(caller: Caller, count = 1): Promise<string> {
  const seen = (): number => caller.heard().match(/HTTP\/1\.1 \d/g)?.length ?? 0
  while (seen() < count) {
    const more = new Promise((resolve) => caller.socket.once('data', resolve))
    const end = await Promise.race([more, caller.closed.then(() => 'closed')])
    if (end === 'closed') break
  }
  return caller.heard()
}

for (const path of [
  '/livez',
  '/readyz',
  '/openapi.json',
  '/resolve?ref=nginx',
  '/v2/',
  '/nowhere',
]) {
  test(`a connection with too many requests for ${path} that wait is ended`, async (t) => {
    let asked = 0
    const answers: Answers = {
      answer: async () => {
        asked += 1
        return anAnswer()
      },
    }
    const app = await openApp(t, { answers })

    const flood = await call(t, app, GET(path).repeat(5_000))
    flood.socket.pause()
    flood.socket.resume()
    await flood.closed

    assert.ok(asked <= 33, `${asked} were worked on`)
    assert.match(await answered(await call(t, app, GET('/livez'))), /^HTTP\/1\.1 200 OK/)
  })
}

test('no more of what one read has brought is parsed than the connection may hold', async (t) => {
  const app = await openApp(t, { answers: endlessAnswers() })
  let parsed = 0
  const count = (): void => {
    parsed += 1
  }
  subscribe('http.server.request.start', count)
  t.after(() => unsubscribe('http.server.request.start', count))

  const flood = await call(t, app, GET('/resolve?ref=nginx').repeat(5_000))
  await flood.closed

  assert.equal(parsed, 34)
})

test('requests of one connection are worked on one after the other, and all are answered', async (t) => {
  let running = 0
  let most = 0
  const answers: Answers = {
    answer: async (requested) => {
      running += 1
      most = Math.max(most, running)
      await new Promise(setImmediate)
      running -= 1
      return anAnswer({ requested })
    },
  }
  const app = await openApp(t, { answers })
  const names = Array.from({ length: 20 }, (_, index) => `image-${index}`)

  const caller = await call(t, app, names.map((name) => GET(`/resolve?ref=${name}`)).join(''))
  const heard = await answered(caller, names.length)

  assert.equal(most, 1)
  assert.deepEqual(heard.match(/(?<="requested":")image-\d+/g), names)
})

test('of the requests that wait on connections a few are begun in a turn of the event loop', async (t) => {
  const { answers, most } = countedInTurns()
  const app = await openApp(t, { answers })
  const flood = GET('/resolve?ref=nginx').repeat(33)
  const callers: Caller[] = []
  for (let count = 0; count < 80; count += 1) callers.push(await call(t, app))

  for (const { socket } of callers) socket.write(flood)
  const heard = await Promise.all(callers.map((caller) => answered(caller, 33)))

  for (const each of heard) assert.equal(each.match(/HTTP\/1\.1 200 /g)?.length, 33)
  assert.ok(most() <= 66, `${most()} were begun`)
})

test('of the requests that many connections bring at once a few are begun in a turn, and those of every client in turn', async (t) => {
  const { answers, most, order } = countedInTurns()
  const app = await openApp(t, { answers })
  const many: Caller[] = []
  for (let count = 0; count < 200; count += 1) many.push(await call(t, app))
  const other = await call(t, app, '', '127.0.0.2')

  for (const { socket } of many) socket.write(GET('/resolve?ref=many'))
  other.socket.write(GET('/resolve?ref=other'))
  await Promise.all([...many, other].map((caller) => answered(caller)))

  assert.equal(order.length, 201)
  assert.ok(most() <= 66, `${most()} were begun`)
  assert.ok(order.indexOf('other') <= 66, `${order.indexOf('other')} were begun before`)
})

test('a client may not leave more unread than its share, and others are served', async (t) => {
  const app = await openApp(t, {
    limits: { maxUnreadBytesPerClient: 40_000_000 },
    service: { ...someService(), config: async () => 'x'.repeat(30_000_000) },
  })
  const first = await call(t, app)
  first.socket.pause()
  first.socket.write(GET('/config'))
  const second = await call(t, app)
  second.socket.pause()
  const cut = Promise.race([first, second].map(({ closed }) => closed))
  second.socket.write(GET('/config'))

  const other = await answered(await call(t, app, GET('/livez'), '127.0.0.2'))
  second.socket.resume()
  await cut

  assert.match(other, /^HTTP\/1\.1 200 OK/)
})

test("a client's own idle connections make room for its newest", async (t) => {
  const app = await openApp(t, { limits: { maxConnectionsPerClient: 2 } })
  const other = await call(t, app, '', '127.0.0.2')
  const [first, second] = [await call(t, app), await call(t, app)]

  const third = await call(t, app, GET('/registries'))

  assert.match(await answered(third), /^HTTP\/1\.1 200 OK/)
  await first.closed
  second.socket.write(GET('/registries'))
  assert.match(await answered(second), /^HTTP\/1\.1 200 OK/)
  other.socket.write(GET('/registries'))
  assert.match(await answered(other), /^HTTP\/1\.1 200 OK/)
})

test('where all connections are taken, the client with the most makes room', async (t) => {
  const app = await openApp(t, { limits: { maxConnections: 3 } })
  const few = await call(t, app, '', '127.0.0.2')
  const crowd = [await call(t, app), await call(t, app)]

  const newest = await call(t, app, GET('/registries'), '127.0.0.3')

  assert.match(await answered(newest), /^HTTP\/1\.1 200 OK/)
  await crowd[0]?.closed
  few.socket.write(GET('/registries'))
  assert.match(await answered(few), /^HTTP\/1\.1 200 OK/)
})

test('a client whose connections are all busy gets health alone, and from other addresses all', async (t) => {
  let asked = 0
  const answers = endlessAnswers(() => {
    asked += 1
  })
  const app = await openApp(t, {
    answers,
    limits: { maxConnectionsPerClient: 4, reservedConnections: 2 },
  })
  for (let count = 0; count < 4; count += 1) await call(t, app, GET('/resolve?ref=nginx'))
  while (asked < 4) await new Promise(setImmediate)

  for (let count = 0; count < 10; count += 1) {
    const health = await call(t, app, GET('/livez'))
    assert.match(await answered(health), /^HTTP\/1\.1 200 OK[\s\S]*\r\nConnection: close\r\n/i)
    await health.closed
  }
  const refused = await answered(await call(t, app, GET('/registries')))
  assert.match(refused, /^HTTP\/1\.1 429 [\s\S]*\r\nretry-after: 1\r\n/i)
  const other = await answered(await call(t, app, GET('/registries'), '127.0.0.2'))
  assert.match(other, /^HTTP\/1\.1 200 OK/)
})

test('connections that wait in the reserve make room for the newest', async (t) => {
  const app = await openApp(t, {
    answers: endlessAnswers(),
    limits: { maxConnectionsPerClient: 1, reservedConnections: 2 },
  })
  await call(t, app, GET('/resolve?ref=nginx'))
  await new Promise((resolve) => app.server.once('request', resolve))
  const waiting = [await call(t, app), await call(t, app)]

  const health = await call(t, app, GET('/livez'))

  assert.match(await answered(health), /^HTTP\/1\.1 200 OK/)
  await waiting[0]?.closed
})

test('what ends connections is one line of the log', async (t) => {
  const lines: object[] = []
  const logger = { warn: (line: object) => lines.push(line), error: () => {}, info: () => {} }
  const app = await openApp(t, { logger: logger as never })
  for (let count = 0; count < 3; count += 1) {
    await (await call(t, app, GET('/livez').repeat(100))).closed
  }

  assert.deepEqual(lines, [{ what: 'pipelined requests', client: '127.0.0.1' }])
})

/** Answers at once: which references were asked for, in order, and how many most in one turn of the event loop. */
function countedInTurns() {
  const order: string[] = []
  let begun = 0
  let most = 0
  const answers: Answers = {
    answer: async (requested) => {
      order.push(requested)
      if (begun === 0) {
        setImmediate(() => {
          begun = 0
        })
      }
      begun += 1
      most = Math.max(most, begun)
      return anAnswer()
    },
  }
  return { answers, order, most: () => most }
}
