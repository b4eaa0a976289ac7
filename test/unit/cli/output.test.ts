import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  colorsFor,
  formatMs,
  formatShare,
  formatSize,
  formatSpan,
  formatTime,
  table,
  visible,
  withProgress,
} from '../../../src/cli/output.ts'

test('a terminal gets colours', () => {
  const colors = colorsFor({ isTTY: true }, { TERM: 'xterm' })

  assert.equal(colors('no', 'red'), '\u001b[31mno\u001b[39m')
})

test('a file, a pipe, NO_COLOR and a dumb terminal get none', () => {
  const shown = [
    colorsFor({}, {}),
    colorsFor({ isTTY: false }, {}),
    colorsFor({ isTTY: true }, { NO_COLOR: '1' }),
    colorsFor({ isTTY: true }, { TERM: 'dumb' }),
  ]

  for (const colors of shown) assert.equal(colors('no', 'red'), 'no')
})

test('an empty NO_COLOR says nothing', () => {
  assert.notEqual(colorsFor({ isTTY: true }, { NO_COLOR: '' })('no', 'red'), 'no')
})

const PLAIN = colorsFor({}, {})
const COLUMNS = [{ title: 'NAME' }, { title: 'SIZE', right: true }, { title: 'STATE' }] as const

test('columns are as wide as their longest cell, numbers stand at the right', () => {
  const rows = [{ cells: ['a', '12 B', 'in use'] }, { cells: ['longer', '1.0 KiB', ''] }]

  assert.equal(
    table(COLUMNS, rows, PLAIN),
    ['NAME       SIZE  STATE', 'a          12 B  in use', 'longer  1.0 KiB', ''].join('\n'),
  )
})

test('what is too long for a column stands below its row', () => {
  const rows = [{ cells: ['a', '1', 'x'], below: [{ text: 'why it is so' }] }]

  assert.equal(table(COLUMNS, rows, PLAIN), 'NAME  SIZE  STATE\na        1  x\n  why it is so\n')
})

test('colours do not move the columns', () => {
  const colors = colorsFor({ isTTY: true }, {})
  const rows = [{ cells: [{ text: 'a', colour: 'red' as const }, '1', 'x'] }]

  const coloured = table(COLUMNS, rows, colors)

  assert.ok(coloured.includes('\u001b[31ma\u001b[39m   '))
  const bare = ['1', '22', '31', '39'].reduce(
    (text, n) => text.replaceAll(`\u001b[${n}m`, ''),
    coloured,
  )
  assert.equal(bare, table(COLUMNS, rows, PLAIN))
})

test('nothing is printed where there is no row', () => {
  assert.equal(table(COLUMNS, [], PLAIN), '')
})

test('what a registry sends moves no cursor and turns no line around', () => {
  const sent = 'a\u001b[2Jb\u009bc\u202ed\ne'

  assert.equal(visible(sent), 'a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\u{a}e')
  assert.ok(!table([{ title: 'X' }], [{ cells: [sent] }], PLAIN).includes('\u001b'))
})

test('sizes are in IEC units with at most four digits', () => {
  const sizes: readonly (readonly [number, string])[] = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 KiB'],
    [1_234_567, '1.2 MiB'],
    [104_810_000, '100 MiB'],
    [104_857_600, '100 MiB'],
    [1_048_051_712, '1.0 GiB'],
    [2 ** 50, '1.0 PiB'],
    [2 ** 60, '1024 PiB'],
  ]
  for (const [bytes, expected] of sizes) assert.equal(formatSize(bytes), expected)
})

test('milliseconds are in the unit in which they are read', () => {
  const times: readonly (readonly [number | null, string])[] = [
    [null, '-'],
    [0, '1 µs'],
    [0.004, '4 µs'],
    [0.0999, '0.1 ms'],
    [9.96, '10 ms'],
    [412.3, '412 ms'],
    [1_234, '1.2 s'],
  ]
  for (const [ms, expected] of times) assert.equal(formatMs(ms), expected)
})

test('a span has its two largest units', () => {
  const spans: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [59.6, '1 min'],
    [125, '2 min 5 s'],
    [3_600, '1 h'],
    [3_605, '1 h'],
    [100_000, '1 d 3 h'],
  ]
  for (const [seconds, expected] of spans) assert.equal(formatSpan(seconds), expected)
})

test('shares are per cent, times to the second, and what is not known a dash', () => {
  assert.equal(formatShare(0.5), '50.0 %')
  assert.equal(formatShare(null), '-')
  assert.equal(formatTime('2026-01-31T12:00:00.123Z'), '2026-01-31 12:00:00Z')
  assert.equal(formatTime(null), '-')
})

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
  const result = await withProgress(whom, work, { stderr, environment, every }).catch(String)
  return { result, written, cancelled }
}

test('no progress is shown for an answer within a second', async () => {
  for (const isTTY of [true, false]) {
    assert.deepEqual(await watched(0, { isTTY }), { result: 'answer', written: '', cancelled: 1 })
  }
})

test('in a pipe or a log one line names what is awaited', async () => {
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

test('what is awaited is shown in one line, without control characters', async () => {
  const { written } = await watched(1, { whom: `\u001b[31m${'registry, '.repeat(50)}` })

  assert.ok(!written.includes('\u001b'))
  assert.ok(written.length < 120, written)
})
