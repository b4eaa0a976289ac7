import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PullSetbacks } from '../../../src/cri/pull-setbacks.ts'

const PLACES = [{ registry: 'a' }, { registry: 'b' }, { registry: 'c' }]

function scene() {
  const time = { ms: 0 }
  const setbacks = new PullSetbacks(() => time.ms)
  const order = (digest: string): string =>
    setbacks
      .inOrder(PLACES, digest)
      .map(({ registry }) => registry)
      .join('')
  return { order, setbacks, time }
}

test('where an image could not be had, it is asked for last, for five minutes', () => {
  const { order, setbacks, time } = scene()

  setbacks.failed('a', 'one')

  assert.deepEqual([order('one'), order('two')], ['bca', 'abc'])
  time.ms = 299_999
  assert.equal(order('one'), 'bca')
  time.ms = 300_000
  assert.equal(order('one'), 'abc')
})

test('a registry that gave neither of two images is asked last for all of them', () => {
  const { order, setbacks } = scene()

  setbacks.failed('a', 'one')
  setbacks.failed('a', 'one')
  assert.equal(order('three'), 'abc')
  setbacks.failed('a', 'two')

  assert.equal(order('three'), 'bca')
})

test('one that gives an image again is trusted with all but those that it did not give', () => {
  const { order, setbacks } = scene()
  setbacks.failed('a', 'one')
  setbacks.failed('a', 'two')

  setbacks.succeeded('a', 'two')

  assert.deepEqual([order('one'), order('two'), order('three')], ['bca', 'abc', 'abc'])
})

test('where all of them failed, their order is as before', () => {
  const { order, setbacks } = scene()

  for (const { registry } of PLACES) setbacks.failed(registry, 'one')

  assert.equal(order('one'), 'abc')
})
