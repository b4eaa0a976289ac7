import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Doubts } from '../../../src/registry/doubts.ts'

test('one repository that fails however often is not enough, three different ones are', () => {
  const doubts = new Doubts()

  const same = Array.from({ length: 100 }, () => doubts.add('a', 'weird'))
  const others = [doubts.add('a', 'other'), doubts.add('a', 'third')]

  assert.ok(!same.includes(true))
  assert.deepEqual(others, [false, true])
  assert.equal(doubts.count('a'), 3)
})

test('no more is kept of a registry than is enough', () => {
  const doubts = new Doubts()

  for (let index = 0; index < 1_000; index += 1) doubts.add('a', `app-${index}`)

  assert.equal(doubts.count('a'), 3)
  assert.ok(doubts.add('a', 'app-0'))
})

test('an answer ends the doubt, of that registry alone', () => {
  const doubts = new Doubts()
  for (const repository of ['one', 'two']) {
    doubts.add('a', repository)
    doubts.add('b', repository)
  }

  doubts.clear('a')

  assert.deepEqual([doubts.has('a'), doubts.has('b')], [false, true])
  assert.deepEqual([doubts.add('a', 'three'), doubts.add('b', 'three')], [false, true])
})

test('a thousand registries are remembered', () => {
  const doubts = new Doubts()

  for (let index = 0; index <= 1_000; index += 1) doubts.add(`registry-${index}`, 'app')

  assert.deepEqual([doubts.has('registry-0'), doubts.has('registry-1')], [false, true])
})
