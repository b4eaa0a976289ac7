import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { endSignal } from '../../../src/daemon.ts'

test('either signal tells to end, and the next one, whichever it is, is left to the system', async () => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const signals = new EventEmitter()
    const ending = endSignal(signals)
    assert.deepEqual(signals.eventNames(), ['SIGTERM', 'SIGINT'])

    signals.emit(signal, signal)

    assert.equal(await ending, signal)
    assert.deepEqual(signals.eventNames(), [])
  }
})
