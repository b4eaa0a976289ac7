import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { createCertificate } from '../../support/certificate.ts'
import {
  AN_IMAGE,
  anAnswer,
  endlessAnswers,
  openApp,
  someImages,
  TOKEN,
} from '../../support/http-app.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** Connects, sends, and gives what comes until the other side ends. */
async function talk(t: TestContext, app: FastifyInstance, text: string): Promise<string> {
  const socket = await dial(t, app, text)
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk
  })
  await once(socket, 'close')
  return heard
}

async function dial(t: TestContext, app: FastifyInstance, text: string): Promise<Socket> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  // A reset is one of the ways in which a connection may end here.
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

/** A thousand at once. */
function manyRequest(headers: string): string {
  const body = JSON.stringify({ references: Array(1000).fill('nginx') })
  const head = `POST /resolve HTTP/1.1\r\nhost: localhost\r\n${headers}`
  return `${head}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`
}

/** Answers that are never given, and the signal of the first that was asked for. */
function endless() {
  let onAsked: (signal: AbortSignal) => void = () => {}
  const signal = new Promise<AbortSignal>((resolve) => {
    onAsked = resolve
  })
  return { signal, answers: endlessAnswers((asked) => onAsked(asked)) }
}

function codeIn(response: string): unknown {
  return JSON.parse(response.slice(response.indexOf('\r\n\r\n'))).errors[0].code
}

/** For an answer that is held back: that it was asked for, and that it may be given. */
function heldAnswer() {
  let ask = (): void => {}
  let give = (): void => {}
  const isAsked = new Promise<void>((resolve) => (ask = resolve))
  const isGiven = new Promise<void>((resolve) => (give = resolve))
  return { ask, isAsked, give, isGiven }
}

test('a client that never finishes its headers is sent away', { timeout: 60_000 }, async (t) => {
  const limits = { headersTimeoutMs: 40, requestTimeoutMs: 80 }
  const app = await openApp(t, { limits })

  const heard = await talk(t, app, 'GET /livez HTTP/1.1\r\nhost: localhost\r\nx-slow: ')

  assert.match(heard, /^HTTP\/1\.1 408 Request Timeout\r\n/)
  assert.equal(codeIn(heard), 'REQUEST_INVALID')
})

test('a client that says nothing is sent away', { timeout: 60_000 }, async (t) => {
  const app = await openApp(t, { limits: { headersTimeoutMs: 40, requestTimeoutMs: 80 } })

  const heard = await talk(t, app, '')

  assert.match(heard, /^HTTP\/1\.1 408 Request Timeout\r\n/)
})

test('a client that never finishes the handshake of TLS is sent away', {
  timeout: 60_000,
}, async (t) => {
  const folder = temporaryFolder(t)
  const { cert, key } = createCertificate()
  const tls = { cert: join(folder, 'cert'), key: join(folder, 'key') }
  writeFileSync(tls.cert, cert)
  writeFileSync(tls.key, key)
  const app = await openApp(t, { tls, limits: { headersTimeoutMs: 40 } })

  const heard = await talk(t, app, '\x16\x03\x01')

  assert.equal(heard, '')
})

for (const path of ['/livez', '/resolve?ref=cached']) {
  test(`an idle connection is closed after the answer to ${path}`, {
    timeout: 60_000,
  }, async (t) => {
    const answers = { ...endlessAnswers(), prepare: () => () => anAnswer({ source: 'cache' }) }
    const app = await openApp(t, { answers, limits: { keepAliveTimeoutMs: 20 } })

    const heard = await talk(t, app, `GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`)

    assert.match(heard, /^HTTP\/1\.1 200 OK\r\n/)
  })
}

test('headers over the limit are a 431', async (t) => {
  const app = await openApp(t)
  const big = 'x'.repeat(17 * 1024)

  const heard = await talk(
    t,
    app,
    `GET /livez HTTP/1.1\r\nhost: localhost\r\nx-big: ${big}\r\n\r\n`,
  )

  assert.match(heard, /^HTTP\/1\.1 431 /)
  assert.equal(codeIn(heard), 'REQUEST_INVALID')
})

test('a URL over the limit is a 431 too', async (t) => {
  const app = await openApp(t)

  const heard = await talk(t, app, `GET /resolve?ref=${'x'.repeat(17 * 1024)} HTTP/1.1\r\n\r\n`)

  assert.match(heard, /^HTTP\/1\.1 431 /)
})

test('what is not HTTP is a 400', async (t) => {
  const app = await openApp(t)

  const heard = await talk(t, app, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

  assert.match(heard, /^HTTP\/1\.1 400 Bad Request\r\n/)
  assert.equal(codeIn(heard), 'REQUEST_INVALID')
})

test('a request without a host is a 400', async (t) => {
  const app = await openApp(t)

  const heard = await talk(t, app, 'GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n')

  assert.match(heard, /^HTTP\/1\.1 400 Bad Request\r\n/)
  assert.equal(codeIn(heard), 'REQUEST_INVALID')
})

test('an answer says how long its connection may be idle', async (t) => {
  const app = await openApp(t, { limits: { keepAliveTimeoutMs: 2_000 } })
  const socket = await dial(t, app, 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')
  const [kept] = await once(socket, 'data')
  const last = await talk(
    t,
    app,
    'GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
  )

  assert.match(String(kept), /\r\nkeep-alive: timeout=2\r\n/i)
  assert.doesNotMatch(last, /\r\nkeep-alive:/i)
})

test('a client that leaves while it sends a body is no fault of the service', async (t) => {
  const logged: unknown[] = []
  const logger = { ...silentLogger(), error: (...line: unknown[]) => logged.push(line) }
  const app = await openApp(t, { logger })
  const accepted = once(app.server, 'connection')
  const requested = once(app.server, 'request')
  const head = 'POST /resolve HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'

  const socket = await dial(t, app, `${head}content-length: 100\r\n\r\n{"references":`)
  const [[ours]] = await Promise.all([accepted, requested])
  const closed = once(ours, 'close')
  socket.destroy()
  await closed
  await new Promise(setImmediate)

  assert.deepEqual(logged, [])
})

test('a client that leaves aborts its question', { timeout: 60_000 }, async (t) => {
  const { answers, signal: asked } = endless()
  const app = await openApp(t, { answers })
  const socket = await dial(t, app, 'GET /resolve?ref=nginx HTTP/1.1\r\nhost: localhost\r\n\r\n')
  const signal = await asked

  socket.destroy()
  if (!signal.aborted) await once(signal, 'abort')

  assert.equal(signal.reason.code, 'CANCELED')
})

test('a question that takes too long is a 504', { timeout: 60_000 }, async (t) => {
  const app = await openApp(t, { answers: endlessAnswers(), timeoutMs: 20 })

  const heard = await talk(
    t,
    app,
    'GET /resolve?ref=nginx HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
  )

  assert.match(heard, /^HTTP\/1\.1 504 Gateway Timeout\r\n/)
  assert.equal(codeIn(heard), 'DEADLINE_EXCEEDED')
})

/** As many at once as no system takes the answers of. */
const manyQuestions = 'GET /resolve?ref=cached HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(200)

const unread = [
  [
    'a long answer',
    `GET /images HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`,
  ],
  ['answers of the cache', manyQuestions],
  ['line after line', manyRequest('accept: application/x-ndjson\r\n')],
] as const

for (const [what, text] of unread) {
  test(`a client that leaves ${what} unread is cut off`, { timeout: 60_000 }, async (t) => {
    const long = { requested: 'x'.repeat(100_000) }
    const app = await openApp(t, {
      limits: { unreadTimeoutMs: 50 },
      answers: {
        prepare: () => () => anAnswer({ ...long, source: 'cache' }),
        answer: async () => anAnswer(long),
      },
      ...someImages({
        list: async () => [{ ...AN_IMAGE, references: Array(500).fill('x'.repeat(100_000)) }],
      }),
    })
    const served = once(app.server, 'connection') as Promise<[Socket]>
    const socket = await dial(t, app, text)
    socket.pause()

    const [other] = await served
    await once(other, 'close')

    assert.ok(other.bytesWritten > 0)
  })
}

test('who waits longer than that for an answer is not cut off', { timeout: 60_000 }, async (t) => {
  const { ask, isAsked, give, isGiven } = heldAnswer()
  const answers = {
    answer: async () => {
      ask()
      await isGiven
      return anAnswer()
    },
  }
  const app = await openApp(t, {
    answers,
    limits: { unreadTimeoutMs: 20, keepAliveTimeoutMs: 20 },
  })
  const head = 'GET /resolve?ref=nginx HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n'
  const heard = talk(t, app, head)
  await isAsked

  // Longer than it takes to end one that is idle.
  await talk(t, app, 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')
  give()

  assert.match(await heard, /^HTTP\/1\.1 200 OK\r\n/)
})

test('an upload to a route that takes none is answered and cut off', async (t) => {
  const app = await openApp(t)
  const head = 'POST /livez HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n'

  const heard = await talk(t, app, `${head}some of it`)

  assert.match(heard, /^HTTP\/1\.1 405 Method Not Allowed\r\n/)
})

test('closing ends idle connections at once', { timeout: 60_000 }, async (t) => {
  const app = await openApp(t)
  const socket = await dial(t, app, 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await once(socket, 'data')

  const closed = once(socket, 'close')
  await app.close()

  await closed
})

test('closing ends a connection that is kept alive after the answer that it waits for', {
  timeout: 60_000,
}, async (t) => {
  const { ask, isAsked, give, isGiven } = heldAnswer()
  const answers = {
    answer: async () => {
      ask()
      await isGiven
      return anAnswer()
    },
  }
  // Longer than the test may take: nothing is cut off.
  const app = await openApp(t, { answers, limits: { closeGraceMs: 120_000 } })
  const head = 'GET /resolve?ref=nginx HTTP/1.1\r\nhost: localhost\r\n\r\n'
  const heard = talk(t, app, head)
  await isAsked

  const closed = app.close()
  await new Promise(setImmediate)
  give()

  assert.match(await heard, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\nconnection: close\r\n/i)
  await closed
})

test('closing ends a connection whose answer was begun when that is whole', {
  timeout: 60_000,
}, async (t) => {
  const { ask, isAsked, give, isGiven } = heldAnswer()
  const pull = async (): Promise<string> => {
    ask()
    await isGiven
    return AN_IMAGE.imageId
  }
  const app = await openApp(t, {
    ...someImages({ pull }),
    limits: { closeGraceMs: 120_000 },
  })
  const body = JSON.stringify({ reference: 'nginx' })
  const head = `POST /images/pull HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\n`
  const type = `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`
  const socket = await dial(t, app, `${head}${type}${body}`)
  let heard = ''
  socket.on('data', (chunk) => {
    heard += chunk
  })
  await isAsked
  while (!heard.includes('event: pulling')) await once(socket, 'data')

  const closed = app.close()
  give()

  await closed
  if (!socket.closed) await once(socket, 'close')
  assert.match(heard, /event: pulled/)
})

test('closing waits for what came by the other address of localhost, too', {
  timeout: 60_000,
}, async (t) => {
  const { ask, isAsked, give, isGiven } = heldAnswer()
  const answers = {
    answer: async () => {
      ask()
      await isGiven
      return anAnswer()
    },
  }
  const app = await openApp(t, { answers })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const other = createServer((socket) => app.server.emit('connection', socket))
  t.after(() => other.close())
  await once(other.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((other.address() as AddressInfo).port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write('GET /resolve?ref=nginx HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await isAsked

  const isDone = app.close().then(() => 'closed')
  const closed = once(app.server, 'close')
  await closed
  // Whatever Fastify has to do once its server is closed has its turns.
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
  const first = await Promise.race([isDone, 'waiting'])
  const heard = once(socket, 'data')
  give()

  assert.equal(first, 'waiting')
  assert.match(String(await heard), /^HTTP\/1\.1 200 OK\r\n/)
  socket.destroy()
  await isDone
})

test('closing gives a question in flight its grace, then cuts it off', {
  timeout: 60_000,
}, async (t) => {
  const { answers, signal: asked } = endless()
  const app = await openApp(t, { answers, limits: { closeGraceMs: 20 } })
  const socket = await dial(t, app, 'GET /resolve?ref=nginx HTTP/1.1\r\nhost: localhost\r\n\r\n')
  const signal = await asked

  const closed = once(socket, 'close')
  await app.close()

  await closed
  if (!signal.aborted) await once(signal, 'abort')
  assert.equal(signal.reason.code, 'CANCELED')
})
