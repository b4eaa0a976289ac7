import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DynamicTable } from '../../../../src/http2/hpack/tables.ts'

/** An entry of exactly so many bytes, by the count of RFC 7541, section 4.1. */
function entryOf(bytes: number, name = ''): { readonly name: string; readonly value: string } {
  return { name, value: 'v'.repeat(bytes - name.length - 32) }
}

function namesOf(table: DynamicTable): string[] {
  const names: string[] = []
  for (let index = 0; ; index += 1) {
    const entry = table.at(index)
    if (entry === undefined) return names
    names.push(entry.name)
  }
}

test('the newest entry comes first', () => {
  const table = new DynamicTable()
  for (const name of ['a', 'b', 'c']) table.add({ name, value: '' })

  assert.deepEqual(namesOf(table), ['c', 'b', 'a'])
})

test('an empty table has no entry at all', () => {
  assert.equal(new DynamicTable().at(0), undefined)
})

test('what is added drops no more of the oldest than it needs room for', () => {
  const table = new DynamicTable()
  for (const name of ['a', 'b', 'c', 'd']) table.add(entryOf(1_024, name))

  table.add(entryOf(1_025, 'e'))

  assert.deepEqual(namesOf(table), ['e', 'd', 'c'])
})

test('entries that fill the table to the last byte all stay', () => {
  const table = new DynamicTable()
  for (let i = 0; i < 128; i += 1) table.add({ name: '', value: '' })

  assert.equal(namesOf(table).length, 128)
})

test('the table goes round: after hundreds of entries the last ones that fit are there', () => {
  const table = new DynamicTable()
  for (let i = 100; i < 999; i += 1) table.add({ name: `${i}`, value: '' })

  // Thirty-five bytes each: 117 of them fit.
  const newestFirst = Array.from({ length: 117 }, (_, i) => `${998 - i}`)
  assert.deepEqual(namesOf(table), newestFirst)
})

test('an entry larger than the table leaves it empty', () => {
  const table = new DynamicTable()
  table.add(entryOf(100, 'a'))

  table.add(entryOf(4_097, 'b'))

  assert.deepEqual(namesOf(table), [])
})

test('an entry as large as the table is all that it holds', () => {
  const table = new DynamicTable()
  table.add(entryOf(100, 'a'))

  table.add(entryOf(4_096, 'b'))

  assert.deepEqual(namesOf(table), ['b'])
})

test('a table made smaller drops the oldest until it fits', () => {
  const table = new DynamicTable()
  for (const name of ['a', 'b', 'c']) table.add(entryOf(100, name))

  table.resize(299)

  assert.deepEqual(namesOf(table), ['c', 'b'])
})

test('a table made smaller keeps to its size when entries are added', () => {
  const table = new DynamicTable()
  table.resize(200)
  for (const name of ['a', 'b', 'c']) table.add(entryOf(100, name))

  assert.deepEqual(namesOf(table), ['c', 'b'])
})

test('a table made empty and large again works as before', () => {
  const table = new DynamicTable()
  table.add(entryOf(100, 'a'))
  table.resize(0)
  table.resize(4_096)
  table.add(entryOf(4_096, 'b'))

  assert.deepEqual(namesOf(table), ['b'])
})

test('there is nothing before the newest entry, however many there are', () => {
  const table = new DynamicTable()
  for (let added = 0; added < 120; added += 1) table.add(entryOf(33, 'a'))

  assert.equal(table.at(-1), undefined)
  assert.equal(table.at(-62), undefined)
})
