import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { untilLeft } from '../../../src/http/deadline.ts'

function aResponse(): ServerResponse {
  return new EventEmitter() as unknown as ServerResponse
}

test('the signal aborts with a TimeoutError when the time is up', async () => {
  // An ordinary timer keeps the process alive meanwhile, as a listening server would.
  const alive = setInterval(() => {}, 1000)
  const response = aResponse()
  const signal = untilLeft(response, 5)

  await once(signal, 'abort')
  response.emit('close')

  clearInterval(alive)
  assert.equal(signal.reason.name, 'TimeoutError')
})

for (const timeoutMs of [undefined, 60_000]) {
  test(`with a limit of ${timeoutMs} ms the signal aborts as canceled when the client leaves`, () => {
    const response = aResponse()
    const signal = untilLeft(response, timeoutMs)

    response.emit('close')

    assert.equal(signal.reason.code, 'CANCELED')
  })
}

test('pipelined requests have a signal each', async () => {
  const alive = setInterval(() => {}, 1000)
  const [response, other] = [aResponse(), aResponse()]
  const quick = untilLeft(response, 5)
  const slow = untilLeft(other, 60_000)

  await once(quick, 'abort')

  clearInterval(alive)
  assert.equal(slow.aborted, false)
  response.emit('close')
  other.emit('close')
})
