import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { startDeadline } from '../../../src/http/deadline.ts'

/** All that a deadline needs of a request is its connection. */
function aRequest(socket = new EventEmitter()): IncomingMessage {
  return { socket } as unknown as IncomingMessage
}

test('the signal aborts with a TimeoutError when the time is up', async () => {
  // An ordinary timer keeps the process alive meanwhile, as a listening server would.
  const alive = setInterval(() => {}, 1000)
  const { signal, clear } = startDeadline(aRequest(), 5)

  await once(signal, 'abort')

  clearInterval(alive)
  clear()
  assert.equal(signal.reason.name, 'TimeoutError')
})

test('the signal aborts with an AbortError when the connection closes during the work', () => {
  const request = aRequest()
  const { signal } = startDeadline(request, 60_000)

  request.socket.emit('close')

  assert.equal(signal.reason.name, 'AbortError')
})

test('a connection that closes after the work aborts nothing', () => {
  const request = aRequest()
  const { signal, clear } = startDeadline(request, 60_000)
  clear()

  request.socket.emit('close')

  assert.equal(signal.aborted, false)
})

test('pipelined requests have a signal each', async () => {
  const alive = setInterval(() => {}, 1000)
  const request = aRequest()
  const quick = startDeadline(request, 5)
  const slow = startDeadline(request, 60_000)

  await once(quick.signal, 'abort')

  clearInterval(alive)
  assert.equal(slow.signal.aborted, false)
  quick.clear()
  slow.clear()
  request.socket.emit('close')
})
