import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PullFailures } from '../../../src/cri/pull-failures.ts'

const PLACES = [{ registry: 'a' }, { registry: 'b' }, { registry: 'c' }]

function scene() {
  const time = { ms: 0 }
  const failures = new PullFailures(() => time.ms)
  const order = (digest: string): string =>
    failures
      .inOrder(PLACES, digest)
      .map(({ registry }) => registry)
      .join('')
  return { order, failures, time }
}

test('where an image could not be had, it is asked for last, for five minutes', () => {
  const { order, failures, time } = scene()

  failures.failed('a', 'one')

  assert.deepEqual([order('one'), order('two')], ['bca', 'abc'])
  time.ms = 299_999
  assert.equal(order('one'), 'bca')
  time.ms = 300_000
  assert.equal(order('one'), 'abc')
})

test('a registry that gave neither of two images is asked last for all of them', () => {
  const { order, failures } = scene()

  failures.failed('a', 'one')
  failures.failed('a', 'one')
  assert.equal(order('three'), 'abc')
  failures.failed('a', 'two')

  assert.equal(order('three'), 'bca')
})

test('one that gives an image again is trusted with all but those that it did not give', () => {
  const { order, failures } = scene()
  failures.failed('a', 'one')
  failures.failed('a', 'two')

  failures.succeeded('a', 'two')

  assert.deepEqual([order('one'), order('two'), order('three')], ['bca', 'abc', 'abc'])
})

test('where all of them failed, their order is as before', () => {
  const { order, failures } = scene()

  for (const { registry } of PLACES) failures.failed(registry, 'one')

  assert.equal(order('one'), 'abc')
})
