import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inkFor } from '../../../src/cli/ink.ts'

test('a terminal gets colours', () => {
  const ink = inkFor({ isTTY: true }, { TERM: 'xterm' })

  assert.equal(ink('no', 'red'), '\u001b[31mno\u001b[0m')
})

test('a file, a pipe, NO_COLOR and a dumb terminal get none', () => {
  const inks = [
    inkFor({}, {}),
    inkFor({ isTTY: false }, {}),
    inkFor({ isTTY: true }, { NO_COLOR: '1' }),
    inkFor({ isTTY: true }, { TERM: 'dumb' }),
  ]

  for (const ink of inks) assert.equal(ink('no', 'red'), 'no')
})

test('an empty NO_COLOR says nothing', () => {
  assert.notEqual(inkFor({ isTTY: true }, { NO_COLOR: '' })('no', 'red'), 'no')
})
