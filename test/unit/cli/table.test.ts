import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inkFor } from '../../../src/cli/ink.ts'
import { table, visible } from '../../../src/cli/table.ts'

const PLAIN = inkFor({}, {})
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
  const ink = inkFor({ isTTY: true }, {})
  const rows = [{ cells: [{ text: 'a', colour: 'red' as const }, '1', 'x'] }]

  const coloured = table(COLUMNS, rows, ink)

  assert.ok(coloured.includes('\u001b[31ma\u001b[0m   '))
  const bare = ['1', '31', '0'].reduce((text, n) => text.replaceAll(`\u001b[${n}m`, ''), coloured)
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
