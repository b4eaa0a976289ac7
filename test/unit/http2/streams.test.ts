import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_INT31 } from '../../../src/http2/frames.ts'
import { Stream } from '../../../src/http2/stream.ts'
import { Streams } from '../../../src/http2/streams.ts'
import { RecordedStream } from '../../support/recorded-stream.ts'

const OWNER = { ready() {}, reset() {}, credit() {}, consumed() {}, queued() {} }

function stream(id = 0): Stream {
  return new Stream(OWNER, id, 0, new RecordedStream())
}

function placed(streams: Streams): Stream {
  const one = stream()
  streams.wait(one)
  one.id = streams.place(one) ?? 0
  return one
}

test('streams of our own get the odd numbers, in order', () => {
  const streams = new Streams(10)

  assert.deepEqual(
    [1, 2, 3].map(() => placed(streams).id),
    [1, 3, 5],
  )
  assert.equal(streams.lastId, 5)
})

test('a stream waits until it is placed', () => {
  const streams = new Streams(1)
  const one = stream()
  streams.wait(one)
  assert.deepEqual(streams.waiting(), [one])
  assert.equal(streams.isEmpty, false)

  streams.place(one)

  assert.deepEqual([streams.waiting(), streams.open()], [[], [one]])
})

test('there is no place beyond the limit, and one again when a stream has gone', () => {
  const streams = new Streams(1)
  const one = placed(streams)
  assert.equal(placed(streams).id, 0)

  streams.delete(one)

  assert.equal(placed(streams).id, 3)
})

test('a limit that shrinks below what is open lets none in until there are fewer', () => {
  const streams = new Streams(3)
  const all = [placed(streams), placed(streams)]
  streams.limit(1)
  assert.equal(streams.isFull, true)

  for (const one of all) streams.delete(one)

  assert.equal(streams.isFull, false)
})

test('as many as there are places for are placeable: those that have begun, in order', () => {
  const streams = new Streams(2)
  const [first, unbegun, second, third] = [stream(), stream(), stream(), stream()]
  for (const one of [first, unbegun, second, third]) streams.wait(one)
  for (const one of [first, second, third]) one.begin({ fields: [] }, true)

  assert.deepEqual(streams.placeable(), [first, second])
  streams.place(second)
  assert.deepEqual(streams.placeable(), [first])
  streams.place(first)
  assert.deepEqual(streams.placeable(), [])
})

test('one of the peer is found by its number', () => {
  const streams = new Streams(10)
  const one = stream(7)

  streams.add(one)

  assert.equal(streams.get(7), one)
  assert.equal(streams.get(1), undefined)
  assert.equal(streams.lastId, 7)
})

test('a number that was passed over counts as used', () => {
  const streams = new Streams(10)

  streams.pass(9)

  assert.equal(streams.lastId, 9)
  assert.equal(streams.isEmpty, true)
})

test('it is empty when all have gone, those that wait too', () => {
  const streams = new Streams(1)
  const all = [placed(streams), placed(streams)]
  assert.equal(streams.isEmpty, false)

  for (const one of all) streams.delete(one)

  assert.equal(streams.isEmpty, true)
})

test('the last number can be used, and then none is left', () => {
  const streams = new Streams(10)
  streams.pass(MAX_INT31 - 2)
  assert.equal(streams.isExhausted, false)

  assert.equal(placed(streams).id, MAX_INT31)

  assert.equal(streams.isExhausted, true)
  assert.equal(placed(streams).id, 0)
})
