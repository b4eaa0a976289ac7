import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connectWithSharedReads, withSharedReads } from '../../../src/host/shared-reads.ts'
import { LIMITS } from '../../../src/http2/limits.ts'
import { temporaryFolder } from '../../support/stack.ts'
import { until } from '../../support/until.ts'

interface Pair {
  readonly server: Server
  readonly client: Socket
  readonly accepted: Socket
}

async function connected(t: TestContext, listener: (socket: Socket) => void): Promise<Pair> {
  const path = `${temporaryFolder(t)}/socket`
  let accepted: Socket | undefined
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    accepted = withSharedReads(socket)
    listener(accepted)
  })
  server.listen(path)
  await once(server, 'listening')
  const client = connect(path)
  t.after(() => {
    client.destroy()
    server.close()
  })
  await until(() => accepted !== undefined)
  assert.ok(accepted)
  return { server, client, accepted }
}

test('what two clients say is read into the same memory, each byte at its own connection', async (t) => {
  const heard: string[] = []
  const memories = new Set<ArrayBufferLike>()
  const hear =
    (name: string) =>
    (socket: Socket): void => {
      socket.on('data', (chunk: Buffer) => {
        memories.add(chunk.buffer)
        heard.push(`${name}: ${chunk}`)
        socket.write(`heard ${chunk}`)
      })
    }
  const one = await connected(t, hear('one'))
  const other = await connected(t, hear('other'))

  one.client.write('first')
  const [first] = await once(one.client, 'data')
  other.client.write('second')
  const [second] = await once(other.client, 'data')

  assert.deepEqual(heard, ['one: first', 'other: second'])
  assert.deepEqual([String(first), String(second)], ['heard first', 'heard second'])
  assert.equal(memories.size, 1)
})

test('every byte of a long body comes, in order, also when its reader pauses after each piece', async (t) => {
  const body = Buffer.alloc(3 * 1024 * 1024, Buffer.from(Array.from({ length: 251 }, (_, i) => i)))
  const pieces: Buffer[] = []
  let isPaused = false
  const { client, accepted } = await connected(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      assert.equal(isPaused, false)
      pieces.push(Buffer.from(chunk))
      isPaused = true
      socket.pause()
      setImmediate(() => {
        isPaused = false
        socket.resume()
      })
    })
  })

  client.end(body)
  await once(accepted, 'end')

  assert.deepEqual(Buffer.concat(pieces), body)
  // A client that fills the memory has had its turn.
  assert.equal(Math.max(...pieces.map(({ length }) => length)), LIMITS.chunkBytes)
})

test('the server knows when the last connection has closed, whoever closes it', async (t) => {
  for (const ends of ['client', 'accepted'] as const) {
    const pair = await connected(t, (socket) => socket.resume())
    pair.server.close()
    const closed = once(pair.server, 'close')

    pair[ends].destroy()

    await closed
    assert.equal(pair.accepted.destroyed, true)
  }
})

test('a connection of our own is read into the same memory, and ends with its server', async (t) => {
  const path = `${temporaryFolder(t)}/socket`
  const server = createServer((socket) => socket.end('answer'))
  server.listen(path)
  await once(server, 'listening')
  t.after(() => server.close())
  const heard: string[] = []
  const memories = new Set<ArrayBufferLike>()
  const sockets = [connectWithSharedReads(path), connectWithSharedReads(path)]
  for (const socket of sockets) {
    socket.on('data', (chunk: Buffer) => {
      memories.add(chunk.buffer)
      heard.push(String(chunk))
    })
  }

  await Promise.all(sockets.map((socket) => once(socket, 'close')))

  assert.deepEqual(heard, ['answer', 'answer'])
  assert.equal(memories.size, 1)
})

test('a connection to nobody fails as any other', async (t) => {
  const socket = connectWithSharedReads(`${temporaryFolder(t)}/absent`)

  const [error] = await once(socket, 'error')

  assert.equal(error.code, 'ENOENT')
})
