import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRAME_FLAG, FRAME_TYPE, frame, PREFACE } from '../../../src/cri/frames.ts'
import { readOpening } from '../../../src/cri/opening.ts'
import { indexed, literal, plain, SOCKET_PATH } from '../../support/hpack-fields.ts'

const NOTHING = Buffer.alloc(0)
const SETTINGS = frame(FRAME_TYPE.settings, 0, 0, NOTHING)
const ACK = frame(FRAME_TYPE.settings, FRAME_FLAG.ack, 0, NOTHING)
const WINDOW_UPDATE = frame(8, 0, 0, Buffer.from([0, 0, 255, 0]))
const PRIORITY = frame(2, 0, 3, Buffer.alloc(5))
const PING = frame(FRAME_TYPE.ping, 0, 0, Buffer.alloc(8))
const DATA = frame(FRAME_TYPE.data, 0, 1, Buffer.alloc(100))
const GOOD = headers(literal('incremental', 1, plain('localhost')))
const BAD = headers(literal('incremental', 1, plain(SOCKET_PATH)))
const BROKEN = frame(FRAME_TYPE.headers, 0, 1, Buffer.alloc(16_385))

function headers(authority: Buffer): Buffer {
  const payload = Buffer.concat([indexed(3), authority])
  return frame(FRAME_TYPE.headers, FRAME_FLAG.endHeaders, 1, payload)
}

const CASES = [
  ['nothing yet', [], 'waiting'],
  ['half of the preface', [PREFACE.subarray(0, 11)], 'waiting'],
  ['an HTTP/1 request', [Buffer.from('GET / HTTP/1.1\r\n\r\n')], 'foreign'],
  ['a preface with a slip at its end', [PREFACE.subarray(0, 23), Buffer.from('x')], 'foreign'],
  ['the preface', [PREFACE], 'waiting'],
  ['SETTINGS', [PREFACE, SETTINGS], 'waiting'],
  ['what may come before a call', [PREFACE, SETTINGS, WINDOW_UPDATE, PRIORITY], 'waiting'],
  ['a good call', [PREFACE, SETTINGS, WINDOW_UPDATE, PRIORITY, GOOD], 'plain'],
  ['a good call and a bad one after it', [PREFACE, SETTINGS, GOOD, DATA, BAD], 'plain'],
  ['a call with a path for authority', [PREFACE, SETTINGS, BAD], 'watch'],
  ['a call that is cut short', [PREFACE, SETTINGS, BAD.subarray(0, 15)], 'waiting'],
  ['a PING before any call', [PREFACE, SETTINGS, PING], 'watch'],
  ['a call that is broken', [PREFACE, SETTINGS, BROKEN], 'plain'],
] as const

for (const [what, parts, verdict] of CASES) {
  test(`says ${verdict} to ${what}`, () => {
    assert.equal(readOpening(Buffer.concat(parts)).verdict, verdict)
  })
}

test('finds the acknowledgement before the first call and after it', () => {
  const before = readOpening(Buffer.concat([PREFACE, SETTINGS, ACK, GOOD]))
  const after = readOpening(Buffer.concat([PREFACE, SETTINGS, GOOD, DATA, ACK]))
  const without = readOpening(Buffer.concat([PREFACE, SETTINGS, GOOD]))

  assert.equal(before.acknowledgedAt, PREFACE.length + SETTINGS.length)
  assert.equal(after.acknowledgedAt, PREFACE.length + SETTINGS.length + GOOD.length + DATA.length)
  assert.equal(without.acknowledgedAt, undefined)
})
