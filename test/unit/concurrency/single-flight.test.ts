import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SingleFlight } from '../../../src/concurrency/single-flight.ts'

interface Runs {
  count: number
  signal?: AbortSignal
  resolve?: (value: string) => void
  reject?: (error: Error) => void
}

function start(runs: Runs): (signal: AbortSignal) => Promise<string> {
  return (signal) =>
    new Promise((resolve, reject) => {
      runs.count += 1
      Object.assign(runs, { signal, resolve, reject })
    })
}

test('a thousand callers at once share one run', async () => {
  const flights = new SingleFlight<string>()
  const runs: Runs = { count: 0 }

  const all = Array.from({ length: 1_000 }, () => flights.run('k', undefined, start(runs)))
  runs.resolve?.('answer')

  assert.deepEqual(new Set(await Promise.all(all)), new Set(['answer']))
  assert.equal(runs.count, 1)
})

test('one caller that leaves does not end it for the others', async () => {
  const flights = new SingleFlight<string>()
  const runs: Runs = { count: 0 }
  const leaving = new AbortController()

  const left = flights.run('k', leaving.signal, start(runs))
  const staying = flights.run('k', new AbortController().signal, start(runs))
  leaving.abort(new Error('gone'))
  runs.resolve?.('answer')

  await assert.rejects(left, /gone/)
  assert.equal(await staying, 'answer')
  assert.equal(runs.signal?.aborted, false)
})

test('the last caller that leaves ends the run, and the next one starts anew', async () => {
  const flights = new SingleFlight<string>()
  const runs: Runs = { count: 0 }
  const leaving = new AbortController()

  const left = flights.run('k', leaving.signal, start(runs))
  leaving.abort(new Error('gone'))
  await assert.rejects(left, /gone/)
  const aborted = runs.signal?.aborted
  const next = flights.run('k', undefined, start(runs))
  runs.resolve?.('answer')

  assert.equal(aborted, true)
  assert.equal(await next, 'answer')
  assert.equal(runs.count, 2)
})

test('a failure reaches every caller and is not kept', async () => {
  const flights = new SingleFlight<string>()
  const runs: Runs = { count: 0 }

  const both = [1, 2].map(() => flights.run('k', undefined, start(runs)))
  runs.reject?.(new Error('broken'))
  const outcomes = await Promise.allSettled(both)
  const next = flights.run('k', undefined, start(runs))
  runs.resolve?.('answer')

  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(await next, 'answer')
})

test('a caller that has already left starts nothing', async () => {
  const flights = new SingleFlight<string>()
  const runs: Runs = { count: 0 }

  await assert.rejects(flights.run('k', AbortSignal.abort(new Error('gone')), start(runs)), /gone/)

  assert.equal(runs.count, 0)
})

test('different questions do not share a run', async () => {
  const flights = new SingleFlight<string>()
  const answers = await Promise.all(
    ['a', 'b'].map((key) => flights.run(key, undefined, async () => key)),
  )

  assert.deepEqual(answers, ['a', 'b'])
})
