import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Page } from '../../../src/resolver/page.ts'
import { candidate } from '../../support/resolver.ts'

const EXCHANGE = { method: 'HEAD', url: 'https://m1/', ms: 1 } as const

test('it starts when it is let in, where it had to stand in line before the first request', () => {
  const page = new Page(candidate('m1'))
  page.begin(100)

  page.wait(110)
  page.enter(500)

  assert.equal(page.startedAt, 500)
  assert.equal(page.spentMs(530), 30)
})

test('later waiting is taken from its time', () => {
  const page = new Page(candidate('m1'))
  page.begin(100)
  page.exchanges.push(EXCHANGE)

  page.wait(110)
  const meanwhile = page.spentMs(400)
  page.enter(500)

  assert.equal(page.startedAt, 100)
  assert.equal(meanwhile, 10)
  assert.equal(page.spentMs(530), 40)
})

test('it is unasked as long as it stands in line without a request before', () => {
  const page = new Page(candidate('m1'))
  page.begin(100)
  const before = page.unaskedMs(100)
  page.wait(110)
  const inLine = page.unaskedMs(400)
  page.exchanges.push(EXCHANGE)

  assert.deepEqual([before, inLine, page.unaskedMs(400)], [undefined, 290, undefined])
})

test('one that was skipped was not asked, and begins anew when it is', () => {
  const page = new Page(candidate('m1'))
  page.begin(100)
  page.skip('not asked: why')

  assert.equal(page.startedAt, undefined)
  assert.equal(page.spentMs(200), 0)
  assert.equal(page.attempt?.outcome, 'skipped')
  page.begin(300)
  assert.equal(page.attempt, undefined)
  assert.equal(page.spentMs(310), 10)
})
