import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type WatchOptions, watchService } from '../../../src/install/watch.ts'

const LIMIT_MS = 60_000
const STEP_MS = 20_000

interface Watched {
  readonly said: readonly string[]
  /** The look at which the node was put back, each time. */
  readonly putBack: readonly number[]
}

/** Watches a service that is ready or not at each look, 20 s apart; then a signal ends it. */
async function watch(
  looks: readonly boolean[],
  putBack: WatchOptions['putBack'] = async () => {},
): Promise<Watched> {
  const [said, times]: [string[], number[]] = [[], []]
  const ended = new AbortController()
  let look = 0
  await watchService({
    readiness: async () => {
      const isReady = looks[look] ?? false
      look += 1
      if (look >= looks.length) ended.abort()
      return { isReady, reason: isReady ? '' : 'cri does not listen', version: '1' }
    },
    limitMs: LIMIT_MS,
    putBack: async () => {
      times.push(look)
      // It is not asked any more.
      setImmediate(() => ended.abort())
      await putBack()
    },
    signal: ended.signal,
    say: (line) => said.push(line),
    pauseMs: 0,
    now: () => look * STEP_MS,
  })
  return { said, putBack: times }
}

test('a service that is ready is left alone', async () => {
  assert.deepEqual(await watch([true, true, true, true, true]), { said: [], putBack: [] })
})

test('one that fails for a while is told of once, and left alone when it is ready again', async () => {
  assert.deepEqual(await watch([true, false, false, true, false, false, true]), {
    said: [
      'image-resolver.service: not ready: cri does not listen',
      'image-resolver.service: ready',
      'image-resolver.service: not ready: cri does not listen',
      'image-resolver.service: ready',
    ],
    putBack: [],
  })
})

test('one that is not ready for too long has its node put back, once', async () => {
  const looks = [true, false, false, false, false, false, false]

  assert.deepEqual(await watch(looks), {
    said: [
      'image-resolver.service: not ready: cri does not listen',
      'put back, since it was not ready for 60 s',
    ],
    putBack: [4],
  })
})

test('where the node cannot be put back, that is said and tried again', async () => {
  let times = 0
  const fails = async () => {
    times += 1
    if (times === 1) throw new Error('another run holds the lock')
  }

  const { said } = await watch([true, false, false, false, false, false], fails)

  assert.deepEqual(said.slice(1, 2), [
    'it could not be put back, and is tried again: another run holds the lock',
  ])
})
