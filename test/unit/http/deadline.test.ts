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

test('the next request of a connection is watched again', () => {
  const request = aRequest()
  startDeadline(request, 60_000).clear()
  const second = startDeadline(request, 60_000)

  request.socket.emit('close')

  assert.equal(second.signal.aborted, true)
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

test('a signal that was aborted is never given to the next request', async () => {
  const alive = setInterval(() => {}, 1000)
  const request = aRequest()
  const first = startDeadline(request, 5)
  await once(first.signal, 'abort')
  first.clear()

  const second = startDeadline(request, 60_000)

  clearInterval(alive)
  assert.equal(second.signal.aborted, false)
  second.clear()
  request.socket.emit('close')
})

test('a limit of another length has a signal of its own', async () => {
  const alive = setInterval(() => {}, 1000)
  const request = aRequest()
  startDeadline(request, 60_000).clear()

  const short = startDeadline(request, 5)
  await once(short.signal, 'abort')

  clearInterval(alive)
  assert.equal(short.signal.reason.name, 'TimeoutError')
  short.clear()
  request.socket.emit('close')
})
