import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, type IncomingMessage, type RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Pool } from '../../../src/registry/transport/pool.ts'
import { startServer } from '../../support/http-server.ts'
import { until } from '../../support/until.ts'

interface Asked {
  readonly method?: string
  readonly signal?: AbortSignal
}

async function start(t: TestContext, listener: RequestListener, silenceTimeoutMs = 10_000) {
  const server = await startServer(t, listener)
  const agent = new Agent({ keepAlive: true })
  const limits = { connectTimeoutMs: 5_000, silenceTimeoutMs }
  const pool = new Pool({
    ...limits,
    agent,
    singleUse: new Agent(),
    isTls: false,
    reach: 'anywhere',
    proxy: undefined,
  })
  t.after(() => pool.destroy())
  const url = new URL(server.url)
  const ask = ({ method = 'GET', signal = new AbortController().signal }: Asked = {}) =>
    pool.request({ url, method, headers: {}, signal })
  return { server, pool, ask }
}

async function read(answer: IncomingMessage): Promise<string> {
  return Buffer.concat(await answer.toArray()).toString()
}

test('one connection carries request after request, those without a body too', async (t) => {
  const { server, ask } = await start(t, ({ method = '' }, response) => {
    response.setHeader('content-length', method.length).end(method)
  })

  for (const method of ['GET', 'HEAD', 'HEAD', 'GET']) {
    const answer = await ask({ method })
    assert.equal(await read(answer), method === 'HEAD' ? '' : method)
  }

  assert.equal(server.accepted(), 1)
})

test('a connection that the server has closed meanwhile is replaced', async (t) => {
  const sockets: Socket[] = []
  const { server, ask } = await start(t, ({ socket }, response) => {
    sockets.push(socket)
    response.end('here')
  })
  const first = await ask()
  const near = first.socket
  await read(first)

  for (const socket of sockets) socket.end()
  await once(near, 'close')

  assert.equal(await read(await ask()), 'here')
  assert.equal(server.accepted(), 2)
})

test('silence before the answer and within it is out of time', async (t) => {
  const { ask } = await start(
    t,
    ({ method }, response) => {
      if (method === 'GET') response.write('a part')
    },
    200,
  )

  await assert.rejects(ask({ method: 'POST' }), { code: 'ETIMEDOUT' })
  // On a busy machine the head may be as late as the body.
  await assert.rejects(ask().then(read), { code: 'ETIMEDOUT' })
})

test('a slow reader is not taken for a silent registry', async (t) => {
  const bytes = 5_000_000
  const { ask } = await start(t, (_request, response) => response.write(Buffer.alloc(bytes)))
  const answer = await ask()
  // As the system does where nothing has come for so long.
  const silence = (): boolean => answer.socket.emit('timeout')
  await until(() => answer.readableLength > 0)

  for (let silences = 0; silences < 2; silences += 1) silence()

  // And the registry is, when all has been taken.
  let taken = 0
  answer.on('data', (chunk: Buffer) => {
    taken += chunk.length
  })
  await until(() => taken === bytes)
  const ended = assert.rejects(once(answer, 'end'), { code: 'ETIMEDOUT' })
  silence()
  await ended
})

test('the signal ends a body that is not read yet, and its connection', async (t) => {
  const { ask } = await start(t, (_request, response) => void response.write('a part'))
  const controller = new AbortController()
  const answer = await ask({ signal: controller.signal })
  const closed = new Promise<void>((resolve) => answer.socket.once('close', () => resolve()))

  controller.abort(new Error('gone'))

  await closed
  await assert.rejects(read(answer), { message: 'gone' })
})

test('a server that changes the protocol unasked gives no answer', async (t) => {
  const { ask } = await start(t, ({ socket }) => {
    socket.write('HTTP/1.1 101 No\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
  })

  await assert.rejects(ask())
})

test('a pool that is given up ends what it keeps, not what is under way', async (t) => {
  const { pool, ask } = await start(t, ({ method }, response) => {
    if (method === 'GET') response.end('kept')
    else response.write('under ')
  })
  const running = await ask({ method: 'POST' })
  const kept = await ask()
  const keptClosed = once(kept.socket, 'close')
  await read(kept)

  const retired = pool.retire().then(() => 'retired')
  await keptClosed

  assert.equal(await Promise.race([retired, Promise.resolve('waiting')]), 'waiting')
  running.destroy()
  assert.equal(await retired, 'retired')
})

test('destroying ends what is under way, with or without an answer', async (t) => {
  let reached = (): void => {}
  const isReached = new Promise<void>((resolve) => {
    reached = resolve
  })
  const { pool, ask } = await start(t, ({ method }, response) => {
    if (method === 'GET') response.write('a part')
    else reached()
  })
  const answered = await ask()
  const waiting = assert.rejects(ask({ method: 'POST' }), { message: 'closed' })
  await isReached

  pool.destroy()

  await waiting
  await assert.rejects(read(answered), { message: 'closed' })
})
