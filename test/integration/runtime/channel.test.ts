import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callUnary, isRuntimeError, rawMethod } from '../../../src/runtime/call.ts'
import { openRuntimeChannel } from '../../../src/runtime/channel.ts'
import { startRawServer } from '../../support/listen.ts'
import { temporaryFolder } from '../../support/stack.ts'

const VERSION = rawMethod('/runtime.v1.RuntimeService/Version')
const HOUR_MS = 3_600_000

test('while a connection waits for its next try calls fail at once', async (t) => {
  const path = `${temporaryFolder(t)}/runtime.sock`
  const server = await startRawServer(t, (socket) => socket.destroy(), { path })
  const channel = openRuntimeChannel(path, { initialMs: HOUR_MS, maxMs: HOUR_MS })
  t.after(() => channel.close())

  for (let n = 0; n < 3; n += 1) {
    const call = callUnary(channel.client, VERSION, Buffer.alloc(0))
    await assert.rejects(call, (error) => isRuntimeError(error) && error.code === 14)
  }

  assert.equal(server.accepted(), 1)
})

test('a lost connection is tried again after the back-off, without a call', async (t) => {
  const path = `${temporaryFolder(t)}/runtime.sock`
  let onFifth = (): void => {}
  const fifth = new Promise<void>((resolve) => {
    onFifth = resolve
  })
  let connections = 0
  const drop = (): void => {
    connections += 1
    if (connections === 5) onFifth()
  }
  await startRawServer(t, (socket) => socket.once('close', drop).destroy(), {
    path,
  })
  const channel = openRuntimeChannel(path, { initialMs: 1, maxMs: 2 })
  t.after(() => channel.close())

  await assert.rejects(callUnary(channel.client, VERSION, Buffer.alloc(0)))

  await fifth
})
