import assert from 'node:assert/strict'
import { test } from 'node:test'
import { abortable, ownSignal, withTimeout } from '../../../src/concurrency/abortable.ts'

const FAR_MS = 60_000

/** Work that ends when its signal does, with the signal's reason. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

test('work that ends in time gives its result', async () => {
  assert.equal(await withTimeout(new AbortController().signal, FAR_MS, async () => 7), 7)
})

test('work that does not end in time is ended with DEADLINE_EXCEEDED', async () => {
  const work = withTimeout(new AbortController().signal, 1, untilAborted)

  await assert.rejects(work, { code: 'DEADLINE_EXCEEDED', message: 'no answer within 1 ms' })
})

test('a caller that leaves ends the work with CANCELED', async () => {
  const caller = new AbortController()
  const work = withTimeout(caller.signal, FAR_MS, untilAborted)

  caller.abort()

  await assert.rejects(work, { code: 'CANCELED' })
})

test('a caller that had left before ends the work at once', async () => {
  await assert.rejects(withTimeout(AbortSignal.abort(), FAR_MS, untilAborted), { code: 'CANCELED' })
})

test("a caller's deadline is DEADLINE_EXCEEDED, not a cancellation", async () => {
  const reason = new DOMException('too late', 'TimeoutError')

  const work = withTimeout(AbortSignal.abort(reason), FAR_MS, untilAborted)

  await assert.rejects(work, { code: 'DEADLINE_EXCEEDED' })
})

test('one of several callers can leave while the others get their answer', async () => {
  const leaver = new AbortController()
  let resolve = (_: number) => {}
  const shared = new Promise<number>((settle) => {
    resolve = settle
  })
  const left = abortable(shared, leaver.signal)
  const stayed = abortable(shared, new AbortController().signal)

  leaver.abort(new Error('gone'))
  resolve(7)

  await assert.rejects(left, { message: 'gone' })
  assert.equal(await stayed, 7)
})

test('an own signal ends with the first of others, for its reason', () => {
  const [first, second] = [new AbortController(), new AbortController()]
  const own = ownSignal(first.signal, second.signal)

  second.abort('second')
  first.abort('first')

  assert.equal(own.signal.reason, 'second')
})

test('an own signal is ended from the start where another one is', () => {
  const { signal } = ownSignal(new AbortController().signal, AbortSignal.abort('before'))

  assert.equal(signal.reason, 'before')
})

test('an own signal that is ended ends none of the others, and after its release follows none', () => {
  const [one, other] = [new AbortController(), new AbortController()]
  const ended = ownSignal(one.signal)
  const released = ownSignal(other.signal)

  ended.end('enough')
  released.release()
  other.abort()

  assert.equal(ended.signal.reason, 'enough')
  assert.deepEqual([one.signal.aborted, released.signal.aborted], [false, false])
})
