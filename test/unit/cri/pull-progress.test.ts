import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { PullProgress } from '../../../src/cri/pull-progress.ts'

/** Pulls that the test ends, on a clock that the test turns. */
function startPull(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let time = 0
  const lines: unknown[][] = []
  const progress = new PullProgress({
    log: { info: (...line: unknown[]) => lines.push(line) },
    now: () => time,
  })
  let resolve: (id: string) => void = () => {}
  let reject: (reason: Error) => void = () => {}
  const promise = new Promise<string>((...settle) => {
    ;[resolve, reject] = settle
  })
  return {
    lines,
    progress,
    pull: progress.watch('nginx', undefined, () => promise),
    resolve: (id: string) => resolve(id),
    reject: (reason: Error) => reject(reason),
    pass: (ms: number) => {
      time += ms
      t.mock.timers.tick(ms)
    },
  }
}

test('a quick pull is not told of', async (t) => {
  const { lines, pull, resolve, pass } = startPull(t)

  pass(9_999)
  resolve('id')

  assert.equal(await pull, 'id')
  assert.deepEqual(lines, [])
})

test('a long pull is told of once while it runs and once when it ends', async (t) => {
  const { lines, pull, resolve, pass } = startPull(t)

  pass(10_000)
  assert.deepEqual(lines, [[{ image: 'nginx', seconds: 10 }, 'still pulling']])
  pass(32_400)
  resolve('id')
  await pull

  assert.deepEqual(lines.slice(1), [
    [{ image: 'nginx', seconds: 42, ok: true }, 'a long pull ended'],
  ])
})

test('a long pull that fails says so and throws its own error', async (t) => {
  const { lines, pull, reject, pass } = startPull(t)
  const failure = new Error('down')

  pass(11_000)
  reject(failure)

  await assert.rejects(pull, (error) => error === failure)
  assert.deepEqual(lines.at(-1), [{ image: 'nginx', seconds: 11, ok: false }, 'a long pull ended'])
})

test('counts the pulls under way', async (t) => {
  const { progress, pull, resolve } = startPull(t)

  const during = progress.inFlight
  resolve('id')
  await pull

  assert.deepEqual([during, progress.inFlight], [1, 0])
})

test('counts how pulls ended: pulled, left to the runtime as they came, or without an image', async () => {
  const counts = { inFlight: 0, pulled: 0, failed: 0, passedOn: 0 }
  const progress = new PullProgress({ log: { info: () => {} }, counts })
  const inFlight: number[] = []

  await progress.watch('pulled', undefined, async () => inFlight.push(counts.inFlight))
  await progress.watch('passed on', undefined, async ({ passedOn }) => passedOn())
  const failing = progress.watch('failed', undefined, async ({ passedOn }) => {
    passedOn()
    throw new Error('the runtime could not either')
  })

  await assert.rejects(failing)
  assert.deepEqual(inFlight, [1])
  assert.deepEqual(counts, { inFlight: 0, pulled: 1, failed: 1, passedOn: 1 })
})
