import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { openConnection } from '../../../src/cri/authority-stage.ts'
import { FRAME_FLAG, FRAME_TYPE, frame, PREFACE } from '../../../src/cri/frames.ts'
import { literal, plain, SOCKET_PATH } from '../../support/hpack-fields.ts'
import {
  openRawHttp2Client,
  type RawHttp2Client,
  SETTINGS,
  SETTINGS_ACK,
} from '../../support/raw-http2-client.ts'
import { temporaryFolder } from '../../support/stack.ts'

const GOOD = call('localhost')
const BAD = call(SOCKET_PATH)

function call(authority: string): Buffer {
  const block = literal('incremental', 1, plain(authority))
  return frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 1, block)
}

interface Stage {
  readonly client: RawHttp2Client
  readonly delivered: Promise<Duplex>
}

async function openStage(t: TestContext, timeoutMs?: number): Promise<Stage> {
  const path = `${temporaryFolder(t)}/stage.sock`
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  const delivered = new Promise<Duplex>((resolve) => {
    server.on('connection', (socket) => {
      t.after(() => socket.destroy())
      openConnection(socket, resolve, timeoutMs)
    })
  })
  t.after(() => server.close())
  return { client: openRawHttp2Client(t, path), delivered }
}

test('hands the socket itself on, all bytes in it, when nothing is to be repaired', async (t) => {
  const { client, delivered } = await openStage(t)
  client.send(PREFACE, SETTINGS, GOOD)

  const connection = await delivered

  assert.ok(connection instanceof Socket)
  assert.deepEqual(connection.read(), Buffer.concat([PREFACE, SETTINGS, GOOD]))
})

test('takes the acknowledgement of its own SETTINGS out of what it hands on', async (t) => {
  const { client, delivered } = await openStage(t)
  client.send(PREFACE, SETTINGS)
  await client.frame(({ type }) => type === FRAME_TYPE.settings)
  client.send(SETTINGS_ACK, GOOD)

  const connection = await delivered

  assert.ok(connection instanceof Socket)
  assert.deepEqual(connection.read(), Buffer.concat([PREFACE, SETTINGS, GOOD]))
})

test('stays in between when the authority is refused, and passes bytes back', async (t) => {
  const { client, delivered } = await openStage(t)
  client.send(PREFACE, SETTINGS, BAD)

  const connection = await delivered
  const heard = connection.read()
  connection.write(SETTINGS)
  await client.frame(({ type }) => type === FRAME_TYPE.settings)

  assert.equal(connection instanceof Socket, false)
  assert.deepEqual(heard, Buffer.concat([PREFACE, SETTINGS, call('-var-run-x.sock')]))
})

for (const [what, said] of [
  ['says nothing', Buffer.alloc(0)],
  ['stops in the preface', PREFACE.subarray(0, 7)],
  ['does not acknowledge', Buffer.concat([PREFACE, SETTINGS, GOOD.subarray(0, 12)])],
] as const) {
  test(`closes a connection that ${what} in time`, async (t) => {
    const { client } = await openStage(t, 50)
    client.send(said)

    await new Promise((resolve) => client.socket.once('close', resolve))

    assert.ok(client.received.length <= 1)
  })
}
