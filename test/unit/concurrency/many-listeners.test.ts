import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { abortable, withTimeout } from '../../../src/concurrency/abortable.ts'
import { Semaphore } from '../../../src/concurrency/semaphore.ts'
import { SingleFlight } from '../../../src/concurrency/single-flight.ts'
import { settle } from '../../support/fake-clock.ts'
import { identity, nginx } from '../../support/resolver.ts'
import { has, never, resolverScene } from '../../support/resolver-scene.ts'

/** Leaks that Node warns of while something runs: it tells of each signal and emitter once. */
async function warningsIn(run: () => Promise<void>): Promise<readonly string[]> {
  const warnings: string[] = []
  // Other warnings may be of another file, in the same process.
  const listen = ({ name, message }: Error): void => {
    if (name === 'MaxListenersExceededWarning') warnings.push(message)
  }
  process.on('warning', listen)
  try {
    await run()
    await turn()
  } finally {
    process.off('warning', listen)
  }
  return warnings
}

const COUNT = 32

test('many that wait with one signal are no leak to Node', async () => {
  const flights = new SingleFlight<void>()
  const slots = new Semaphore(1)
  const waits: readonly ((signal: AbortSignal, index: number) => Promise<unknown>)[] = [
    (signal) => abortable(new Promise(() => {}), signal),
    (signal) => withTimeout(signal, 60_000, (ends) => abortable(new Promise(() => {}), ends)),
    (signal) => flights.run('one', signal, () => new Promise(() => {})),
    (signal, index) => flights.run(String(index), signal, () => new Promise(() => {})),
    (signal) => slots.run('', signal, () => abortable(new Promise(() => {}), signal)),
  ]
  for (const wait of waits) {
    const ending = new AbortController()
    const warnings = await warningsIn(async () => {
      const all = Array.from({ length: COUNT }, (_, index) => wait(ending.signal, index))
      await turn()
      ending.abort(new Error('ended'))
      await Promise.allSettled(all)
    })
    assert.deepEqual(warnings, [], String(wait))
  }
})

test('as many refreshes in the background as there may be print no warning', async () => {
  const scene = resolverScene({ m1: has(identity('a')) }, { size: 64 })
  const { clock, resolver, source } = scene
  const names = Array.from({ length: COUNT }, (_, index) => nginx({ path: `team/app-${index}` }))
  for (const name of names) {
    for (let count = 0; count < 6; count += 1) await resolver.resolve(name)
  }
  source.replies['m1'] = never
  await clock.advance(59_000)
  const before = source.asked.length

  const warnings = await warningsIn(async () => {
    for (const name of names) await resolver.resolve(name)
    await settle()
  })

  assert.ok(source.asked.length - before > 10, String(source.asked.length - before))
  assert.deepEqual(warnings, [])
  resolver.close()
})
