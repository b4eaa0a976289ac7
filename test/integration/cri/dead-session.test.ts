import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { FRAME_FLAG, FRAME_TYPE, frame } from '../../../src/cri/frames.ts'
import { hanging, respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { callBlock, OPENING } from '../../support/hostile-frames.ts'
import { indexed } from '../../support/hpack-fields.ts'
import { openRawHttp2Client } from '../../support/raw-http2-client.ts'
import { startRelay } from '../../support/relay.ts'

const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents'
const NOTHING = Buffer.alloc(0)
const CALL = frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 1, callBlock(EVENTS))

const BREACHES = {
  'a PING of the wrong size': frame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(3)),
  'CONTINUATION of nothing': frame(FRAME_TYPE.continuation, FRAME_FLAG.endHeaders, 1, NOTHING),
  'DATA for no call': frame(FRAME_TYPE.data, 0, 9, Buffer.alloc(3)),
  'a header that is in no table': frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 3, indexed(99)),
}

for (const [breach, bytes] of Object.entries(BREACHES)) {
  test(`after ${breach} the connection is ended, and the call in it cancelled`, async (t) => {
    const { runtime, path } = await startRelay(t, { lookMs: 20 })
    const { arrived, hang } = hanging()
    runtime.handle(EVENTS, hang)
    const client = openRawHttp2Client(t, path)
    const ended = once(client.socket, 'close')
    client.send(OPENING, CALL)
    const call = await arrived

    client.send(bytes)

    await ended
    assert.equal(await call.closed, 8)
  })
}

test('a client that answers PINGs keeps its connection, however long it waits', async (t) => {
  const { runtime, path } = await startRelay(t, { lookMs: 20 })
  const { arrived, hang } = hanging()
  runtime.handle(EVENTS, hang)
  const quiet = openGrpcClient(t, path)
  const answer = quiet.call(EVENTS)
  const call = await arrived
  let pings = 0
  await new Promise<void>((resolve) => {
    quiet.session.on('ping', () => {
      pings += 1
      if (pings === 10) resolve()
    })
  })

  respond(call.stream, [Buffer.from('late')])

  assert.deepEqual((await answer).messages.map(String), ['late'])
})
