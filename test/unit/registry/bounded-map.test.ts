import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BoundedMap } from '../../../src/registry/bounded-map.ts'

test('what was set longest ago is forgotten first', () => {
  const map = new BoundedMap<number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.set('a', 3)

  map.set('c', 4)

  assert.deepEqual([map.get('a'), map.get('b'), map.get('c')], [3, undefined, 4])
})

test('what was deleted makes room', () => {
  const map = new BoundedMap<number>(2)
  map.set('a', 1)
  map.set('b', 2)
  map.delete('b')

  map.set('c', 3)

  assert.deepEqual([map.get('a'), map.get('b'), map.get('c')], [1, undefined, 3])
})

test('keys come in the order in which they were set last', () => {
  const map = new BoundedMap<number>(3)
  map.set('a', 1)
  map.set('b', 2)

  map.set('a', 3)

  assert.deepEqual([...map.keys()], ['b', 'a'])
})
