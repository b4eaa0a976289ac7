import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConnectionError,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  frame,
} from '../../../src/http2/frames.ts'
import { Inbound } from '../../../src/http2/inbound.ts'
import { indexed } from '../../support/hpack-fields.ts'
import { EMPTY, SETTINGS, SETTINGS_ACK } from '../../support/raw-http2-client.ts'

const { data, headers, priority, rstStream, settings, pushPromise } = FRAME_TYPE
const { ping, goAway, windowUpdate, continuation } = FRAME_TYPE
const { endHeaders, endStream, padded, ack } = FRAME_FLAG
const GET = indexed(2)

function eventsOf(...frames: readonly Buffer[]): unknown[] {
  const events: unknown[] = []
  const inbound = new Inbound(
    {
      onHeaders: (id, { list }, isEnd) => events.push(['headers', id, list.fields, isEnd]),
      onData: (id, bytes, window, isEnd) =>
        events.push(['data', id, bytes.toString(), window, isEnd]),
      onReset: (id, code) => events.push(['reset', id, code]),
      onSettings: (values) => events.push(['settings', values]),
      onPing: (payload) => events.push(['ping', payload.toString()]),
      onGoAway: (last) => events.push(['goAway', last]),
      onWindowUpdate: (id, bytes) => events.push(['window', id, bytes]),
    },
    { maxListBytes: 1_024 },
  )
  inbound.push(Buffer.concat(frames))
  return events
}

/** The events after the first SETTINGS. */
function eventsAfterSettings(...frames: readonly Buffer[]): unknown[] {
  return eventsOf(SETTINGS, ...frames).slice(1)
}

function bytes(...values: readonly number[]): Buffer {
  return Buffer.from(values)
}

test('settings, and not that ours were read', () => {
  const table = bytes(0, 3, 0, 0, 0, 5)

  assert.deepEqual(eventsOf(frame(settings, 0, 0, table), SETTINGS_ACK), [
    ['settings', { maxConcurrentStreams: 5 }],
  ])
})

test('the first SETTINGS are the greeting', () => {
  const inbound = new Inbound({ onSettings() {} } as never, { maxListBytes: 1_024 })
  assert.equal(inbound.settingsReceived, false)

  inbound.push(SETTINGS)

  assert.equal(inbound.settingsReceived, true)
})

test('PING, and not the answer to one of ours', () => {
  const payload = Buffer.from('12345678')

  assert.deepEqual(eventsAfterSettings(frame(ping, 0, 0, payload), frame(ping, ack, 0, payload)), [
    ['ping', '12345678'],
  ])
})

test('GOAWAY, whatever it says beside', () => {
  const payload = Buffer.concat([bytes(0x80, 0, 0, 9, 0, 0, 0, 0), Buffer.from('why')])

  assert.deepEqual(eventsAfterSettings(frame(goAway, 0, 0, payload)), [['goAway', 9]])
})

test('WINDOW_UPDATE without its first bit, of the connection and of a stream', () => {
  const payload = bytes(0x80, 0, 0, 9)

  assert.deepEqual(
    eventsAfterSettings(frame(windowUpdate, 0, 0, payload), frame(windowUpdate, 0, 3, payload)),
    [
      ['window', 0, 9],
      ['window', 3, 9],
    ],
  )
})

test('RST_STREAM', () => {
  assert.deepEqual(eventsAfterSettings(frame(rstStream, 0, 5, bytes(0, 0, 0, 8))), [
    ['reset', 5, 8],
  ])
})

test('PRIORITY and what nobody knows yet are passed over, on streams and beside', () => {
  const unknown = [frame(10, 255, 0, Buffer.from('x')), frame(0xfa, 0, 77, EMPTY)]

  assert.deepEqual(eventsAfterSettings(frame(priority, 0, 9, Buffer.alloc(5)), ...unknown), [])
})

test('DATA takes of the windows what its payload has, padding and all', () => {
  const payload = Buffer.concat([bytes(3), Buffer.from('body'), Buffer.alloc(3)])

  assert.deepEqual(
    eventsAfterSettings(
      frame(data, 0, 1, Buffer.from('body')),
      frame(data, padded | endStream, 1, payload),
      frame(data, padded, 1, bytes(0)),
      frame(data, padded, 1, bytes(2, 0, 0)),
      frame(data, 0, 1, EMPTY),
    ),
    [
      ['data', 1, 'body', 4, false],
      ['data', 1, 'body', 8, true],
      ['data', 1, '', 1, false],
      ['data', 1, '', 3, false],
      ['data', 1, '', 0, false],
    ],
  )
})

test('HEADERS with padding and priority', () => {
  const flags = endHeaders | padded | FRAME_FLAG.priority
  const payload = Buffer.concat([bytes(2), Buffer.alloc(5), GET, Buffer.alloc(2)])

  assert.deepEqual(
    eventsAfterSettings(
      frame(headers, flags, 1, payload),
      frame(headers, endHeaders | FRAME_FLAG.priority, 3, Buffer.concat([Buffer.alloc(5), GET])),
      frame(headers, endHeaders | endStream, 5, GET),
    ),
    [
      ['headers', 1, [':method', 'GET'], false],
      ['headers', 3, [':method', 'GET'], false],
      ['headers', 5, [':method', 'GET'], true],
    ],
  )
})

test('HEADERS that go on in CONTINUATION, from which the padding does not count', () => {
  assert.deepEqual(
    eventsAfterSettings(
      frame(headers, endStream | padded, 1, Buffer.concat([bytes(1), GET, bytes(0)])),
      frame(continuation, 0, 1, EMPTY),
      frame(continuation, endHeaders, 1, GET),
    ),
    [['headers', 1, [':method', 'GET', ':method', 'GET'], true]],
  )
})

test('a flag of CONTINUATION that looks like the end of the stream is not', () => {
  const frames = [frame(headers, 0, 1, GET), frame(continuation, endHeaders | endStream, 1, EMPTY)]

  assert.deepEqual(eventsAfterSettings(...frames), [['headers', 1, [':method', 'GET'], false]])
})

test('a block contains nothing of the one before', () => {
  const first = [frame(headers, 0, 1, GET), frame(continuation, endHeaders, 1, EMPTY)]
  const second = [frame(headers, 0, 3, indexed(3)), frame(continuation, endHeaders, 3, EMPTY)]

  assert.deepEqual(eventsAfterSettings(...first, ...second), [
    ['headers', 1, [':method', 'GET'], false],
    ['headers', 3, [':method', 'POST'], false],
  ])
})

/** A block in so many full frames before its last one. */
function blockOf(full: Buffer, frames: number, last: Buffer): Buffer[] {
  const middle = Array.from({ length: frames - 1 }, () => frame(continuation, 0, 1, full))
  return [frame(headers, 0, 1, full), ...middle, frame(continuation, endHeaders, 1, last)]
}

test('a block of 256 KiB is accepted, and one more byte is not', () => {
  const full = Buffer.alloc(16_384, GET)

  assert.equal(eventsAfterSettings(...blockOf(full, 15, full)).length, 1)
  const tooLong = [...blockOf(full, 15, full).slice(0, -1), frame(continuation, 0, 1, full)]
  fails(ERROR_CODE.enhanceYourCalm, SETTINGS, ...tooLong, frame(continuation, endHeaders, 1, GET))
})

test('a block of 64 frames is accepted, and one more frame is not', () => {
  assert.equal(eventsAfterSettings(...blockOf(EMPTY, 63, GET)).length, 1)
  fails(ERROR_CODE.enhanceYourCalm, SETTINGS, ...blockOf(EMPTY, 64, GET))
})

const BROKEN: Readonly<Record<string, readonly Buffer[]>> = {
  'DATA of no stream': [frame(data, 0, 0, EMPTY)],
  'HEADERS of no stream': [frame(headers, endHeaders, 0, GET)],
  'PRIORITY of no stream': [frame(priority, 0, 0, Buffer.alloc(5))],
  'RST_STREAM of no stream': [frame(rstStream, 0, 0, Buffer.alloc(4))],
  'CONTINUATION of no stream': [frame(continuation, 0, 0, EMPTY)],
  'CONTINUATION of nothing': [frame(continuation, 0, 1, EMPTY)],
  'CONTINUATION of another stream': [
    frame(headers, 0, 1, GET),
    frame(continuation, endHeaders, 3, EMPTY),
  ],
  'SETTINGS of a stream': [frame(settings, 0, 1, EMPTY)],
  'PING of a stream': [frame(ping, 0, 1, Buffer.alloc(8))],
  'GOAWAY of a stream': [frame(goAway, 0, 1, Buffer.alloc(8))],
  PUSH_PROMISE: [frame(pushPromise, endHeaders, 1, Buffer.alloc(5))],
  'more padding than DATA': [frame(data, padded, 1, bytes(3, 0, 0))],
  'more padding than HEADERS': [frame(headers, padded | endHeaders, 1, bytes(2, 0))],
  'a frame between HEADERS and CONTINUATION': [frame(headers, 0, 1, GET), SETTINGS],
  'HEADERS between HEADERS and CONTINUATION': [
    frame(headers, 0, 1, GET),
    frame(headers, endHeaders, 1, GET),
  ],
  'what nobody knows between HEADERS and CONTINUATION': [
    frame(headers, 0, 1, GET),
    frame(200, 0, 1, EMPTY),
  ],
}

const OF_WRONG_SIZE: Readonly<Record<string, Buffer>> = {
  'PRIORITY of four bytes': frame(priority, 0, 1, Buffer.alloc(4)),
  'RST_STREAM of five bytes': frame(rstStream, 0, 1, Buffer.alloc(5)),
  'SETTINGS of five bytes': frame(settings, 0, 0, Buffer.alloc(5)),
  'an acknowledgement with settings': frame(settings, ack, 0, Buffer.alloc(6)),
  'PING of seven bytes': frame(ping, 0, 0, Buffer.alloc(7)),
  'the answer to a PING of nine bytes': frame(ping, ack, 0, Buffer.alloc(9)),
  'GOAWAY of seven bytes': frame(goAway, 0, 0, Buffer.alloc(7)),
  'WINDOW_UPDATE of three bytes': frame(windowUpdate, 0, 0, Buffer.alloc(3)),
  'DATA with padding of no length': frame(data, padded, 1, EMPTY),
  'HEADERS with a priority of four bytes': frame(
    headers,
    endHeaders | FRAME_FLAG.priority,
    1,
    Buffer.alloc(4),
  ),
}

function fails(code: number, ...frames: readonly Buffer[]): void {
  assert.throws(
    () => eventsOf(...frames),
    (error) => error instanceof ConnectionError && error.code === code,
  )
}

for (const [what, frames] of Object.entries(BROKEN)) {
  test(`${what} breaks the rules`, () => {
    fails(ERROR_CODE.protocolError, SETTINGS, ...frames)
  })
}

for (const [what, wrong] of Object.entries(OF_WRONG_SIZE)) {
  test(`${what} cannot be`, () => {
    const isOfPadding = what.includes('padding')
    fails(isOfPadding ? ERROR_CODE.protocolError : ERROR_CODE.frameSizeError, SETTINGS, wrong)
  })
}

for (const [what, first] of Object.entries({
  PING: frame(ping, 0, 0, Buffer.alloc(8)),
  'an acknowledgement': SETTINGS_ACK,
  'what nobody knows': frame(99, 0, 0, EMPTY),
})) {
  test(`the first frame may not be ${what}`, () => {
    fails(ERROR_CODE.protocolError, first)
  })
}

test('a header block that cannot be decoded is an error of compression', () => {
  fails(ERROR_CODE.compressionError, SETTINGS, frame(headers, endHeaders, 1, indexed(99)))
})
