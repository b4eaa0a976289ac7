import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waiting } from '../../../src/cli/waiting.ts'

/** A clock that runs so many seconds while `work` is under way, and what was written meanwhile. */
async function watched(
  seconds: number,
  { isTTY = false, whom = 'hub:5000', environment = {}, fails = false } = {},
) {
  let written = ''
  let cancelled = 0
  let tick = () => {}
  const stderr = {
    isTTY,
    write: (text: string) => {
      written += text
    },
  }
  const every = (_ms: number, run: () => void) => {
    tick = run
    return () => {
      cancelled += 1
    }
  }
  const work = Promise.resolve().then(() => {
    for (let second = 0; second < seconds; second += 1) tick()
    if (fails) throw new Error('down')
    return 'answer'
  })
  const result = await waiting(whom, work, { stderr, environment, every }).catch(String)
  return { result, written, cancelled }
}

test('whoever answers within a second is not waited for aloud', async () => {
  for (const isTTY of [true, false]) {
    assert.deepEqual(await watched(0, { isTTY }), { result: 'answer', written: '', cancelled: 1 })
  }
})

test('in a pipe or a log one line says who is waited for', async () => {
  const { result, written } = await watched(5)

  assert.equal(result, 'answer')
  assert.equal(written, 'image-resolver: still waiting for hub:5000 (1 s)\n')
})

test('on a terminal the line is counted up and gone with the answer, be it an error', async () => {
  for (const fails of [false, true]) {
    const { written, cancelled } = await watched(2, { isTTY: true, fails })

    assert.equal(
      written,
      '\r\u001b[Kstill waiting for hub:5000 (1 s)\r\u001b[Kstill waiting for hub:5000 (2 s)\r\u001b[K',
    )
    assert.equal(cancelled, 1)
  }
})

test('a terminal that cannot erase gets the plain line', async () => {
  const { written } = await watched(3, { isTTY: true, environment: { TERM: 'dumb' } })

  assert.equal(written, 'image-resolver: still waiting for hub:5000 (1 s)\n')
})

test('who is waited for is shown in one line, without control characters', async () => {
  const { written } = await watched(1, { whom: `\u001b[31m${'registry, '.repeat(50)}` })

  assert.ok(!written.includes('\u001b'))
  assert.ok(written.length < 120, written)
})
