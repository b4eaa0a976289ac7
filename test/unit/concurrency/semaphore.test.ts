import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Semaphore } from '../../../src/concurrency/semaphore.ts'

const NEVER = new AbortController().signal

/** Work that goes on until it is told to end. */
function piece() {
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  return { end, work: () => ended }
}

test('what is more than the limit waits its turn, in the order of arrival', async () => {
  const gate = new Semaphore(2)
  const pieces = [piece(), piece(), piece(), piece()]
  const began: number[] = []
  const all = pieces.map(({ work }, index) =>
    gate.run('a', NEVER, () => {
      began.push(index)
      return work()
    }),
  )
  assert.deepEqual(began, [0, 1])

  pieces[1]?.end()
  await all[1]
  await new Promise(setImmediate)

  assert.deepEqual(began, [0, 1, 2])
  for (const { end } of pieces) end()
  await Promise.all(all)
  assert.deepEqual(began, [0, 1, 2, 3])
})

test('one name does not wait for another', async () => {
  const gate = new Semaphore(1)
  const slow = piece()
  const waiting = gate.run('a', NEVER, slow.work)

  assert.equal(await gate.run('b', NEVER, async () => 7), 7)

  slow.end()
  await waiting
})

test('work that fails gives its place to the next', async () => {
  const gate = new Semaphore(1)
  const failing = gate.run('a', NEVER, () => Promise.reject(new Error('broken')))
  const next = gate.run('a', NEVER, async () => 7)

  await assert.rejects(failing, { message: 'broken' })
  assert.equal(await next, 7)
})

test('a caller that leaves while waiting leaves the queue, and never begins', async () => {
  const gate = new Semaphore(1)
  const slow = piece()
  const running = gate.run('a', NEVER, slow.work)
  const caller = new AbortController()
  const left = gate.run('a', caller.signal, () => assert.fail('it began'))
  const stayed = gate.run('a', NEVER, async () => 7)

  caller.abort(new Error('gone'))

  await assert.rejects(left, { message: 'gone' })
  slow.end()
  await running
  assert.equal(await stayed, 7)
})

test('a caller that leaves in the moment of admission releases its slot', async () => {
  const gate = new Semaphore(1)
  const slow = piece()
  const running = gate.run('a', NEVER, slow.work)
  const caller = new AbortController()
  const left = gate.run('a', caller.signal, async () => 'let in')

  slow.end()
  await running
  caller.abort(new Error('gone'))

  await left.catch(() => {})
  assert.equal(await gate.run('a', NEVER, async () => 7), 7)
})

test('a caller that has left before is not admitted', async () => {
  const left = new Semaphore(1).run('a', AbortSignal.abort(new Error('gone')), async () => 7)

  await assert.rejects(left, { message: 'gone' })
})

test('urgent callers are admitted before the others', async () => {
  const gate = new Semaphore(1)
  const slow = piece()
  const running = gate.run('a', NEVER, slow.work)
  const began: string[] = []
  const come = (name: string, ticket = {}) =>
    gate.run('a', NEVER, async () => began.push(name), ticket)
  const all = [come('first'), come('pull', { urgent: true }), come('last')]

  slow.end()
  await Promise.all([running, ...all])

  assert.deepEqual(began, ['pull', 'first', 'last'])
})

test('a caller that was admitted before comes before those that have not begun', async () => {
  const gate = new Semaphore(1)
  const slow = piece()
  const ticket = {}
  await gate.run('a', NEVER, async () => {}, ticket)
  const running = gate.run('a', NEVER, slow.work)
  const began: string[] = []
  const fresh = gate.run('a', NEVER, async () => began.push('fresh'))
  const again = gate.run('a', NEVER, async () => began.push('again'), ticket)

  slow.end()
  await Promise.all([running, fresh, again])

  assert.deepEqual(began, ['again', 'fresh'])
})

test('a ticket hears that it waits, and when that is over; without a wait it hears nothing', async () => {
  const gate = new Semaphore(1)
  const slow = piece()
  const heard: string[] = []
  const turnOf = (name: string) => ({
    waiting: () => heard.push(`${name} waits`),
    entered: () => heard.push(`${name} is in`),
  })
  const running = gate.run('a', NEVER, slow.work, turnOf('one'))
  const waiting = gate.run('a', NEVER, async () => heard.push('two begins'), turnOf('two'))
  const before = [...heard]

  slow.end()
  await Promise.all([running, waiting])

  assert.deepEqual(before, ['two waits'])
  assert.deepEqual(heard, ['two waits', 'two is in', 'two begins'])
})

test('a caller that gives up in the queue does not begin, and keeps no slot', async () => {
  const gate = new Semaphore(1)
  const slow = piece()
  const running = gate.run('a', NEVER, slow.work)
  const caller = new AbortController()
  const entered = (): void => caller.abort(new Error('turned away'))
  const left = gate.run('a', caller.signal, () => assert.fail('it began'), { entered })

  slow.end()
  await running

  await assert.rejects(left, { message: 'turned away' })
  assert.equal(await gate.run('a', NEVER, async () => 7), 7)
})
