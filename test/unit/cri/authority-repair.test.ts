import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authorityRepair } from '../../../src/cri/authority-repair.ts'
import { FRAME_FLAG, FRAME_TYPE, frame, PREFACE } from '../../../src/cri/frames.ts'
import { readHeaderBlock } from '../../../src/cri/header-block.ts'
import { indexed, literal, plain, SOCKET_PATH } from '../../support/hpack-fields.ts'

const { endHeaders, endStream, padded, priority } = FRAME_FLAG
const BAD = Buffer.concat([indexed(3), literal('incremental', 1, plain(SOCKET_PATH)), indexed(4)])
const GOOD = Buffer.concat([
  indexed(3),
  literal('incremental', 1, plain('-var-run-x.sock')),
  indexed(4),
])
const SETTINGS = frame(FRAME_TYPE.settings, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0]))
const DATA = frame(FRAME_TYPE.data, endStream, 1, Buffer.alloc(1000, 0x2f))
const PRIORITY = Buffer.from([0, 0, 0, 0, 15])

function headers(flags: number, payload: Buffer): Buffer {
  return frame(FRAME_TYPE.headers, flags, 1, payload)
}

function continuation(flags: number, payload: Buffer): Buffer {
  return frame(FRAME_TYPE.continuation, flags, 1, payload)
}

const CASES = [
  ['one frame', [headers(endHeaders, BAD)], headers(endHeaders, GOOD)],
  [
    'a frame that also ends the stream',
    [headers(endHeaders | endStream, BAD)],
    headers(endHeaders | endStream, GOOD),
  ],
  [
    'a padded frame, which loses its padding',
    [headers(endHeaders | padded, Buffer.concat([Buffer.of(7), BAD, Buffer.alloc(7)]))],
    headers(endHeaders, GOOD),
  ],
  [
    'a frame with priority',
    [headers(endHeaders | priority, Buffer.concat([PRIORITY, BAD]))],
    headers(endHeaders | priority, Buffer.concat([PRIORITY, GOOD])),
  ],
  [
    'a frame with padding and priority',
    [
      headers(
        endHeaders | padded | priority,
        Buffer.concat([Buffer.of(3), PRIORITY, BAD, Buffer.alloc(3)]),
      ),
    ],
    headers(endHeaders | priority, Buffer.concat([PRIORITY, GOOD])),
  ],
  [
    'a literal that is cut by CONTINUATION frames',
    [
      headers(endStream, BAD.subarray(0, 6)),
      continuation(0, BAD.subarray(6, 9)),
      continuation(0, Buffer.alloc(0)),
      continuation(endHeaders, BAD.subarray(9)),
    ],
    headers(endHeaders | endStream, GOOD),
  ],
] as const

for (const [what, sent, wanted] of CASES) {
  test(`repairs ${what}, wherever the bytes are cut`, () => {
    const stream = Buffer.concat([PREFACE, SETTINGS, ...sent, DATA, ...sent, DATA])
    const expected = Buffer.concat([PREFACE, SETTINGS, wanted, DATA, wanted, DATA])

    for (let at = 0; at <= stream.length; at += 1) {
      const repair = authorityRepair(PREFACE.length)
      const got = Buffer.concat([repair(stream.subarray(0, at)), repair(stream.subarray(at))])
      assert.deepEqual(got, expected, `cut at ${at}`)
    }
  })

  test(`repairs ${what}, byte by byte`, () => {
    const stream = Buffer.concat([PREFACE, SETTINGS, ...sent, DATA])
    const repair = authorityRepair(PREFACE.length)

    const got = Buffer.concat([...stream].map((byte) => repair(Buffer.of(byte))))

    assert.deepEqual(got, Buffer.concat([PREFACE, SETTINGS, wanted, DATA]))
  })
}

test('cuts a repaired block that is longer than a frame into CONTINUATION frames', () => {
  const long = literal('without', plain('x-long'), plain('v'.repeat(40_000)))
  const bad = Buffer.concat([BAD, long])
  const sent = [
    headers(0, bad.subarray(0, 16_384)),
    continuation(0, bad.subarray(16_384, 32_768)),
    continuation(endHeaders, bad.subarray(32_768)),
  ]

  const got = authorityRepair(0)(Buffer.concat([...sent, DATA]))

  const reading = readHeaderBlock(got, 0)
  assert.equal(reading.state, 'whole')
  assert.deepEqual(reading.state === 'whole' && reading.block.fields, Buffer.concat([GOOD, long]))
  assert.deepEqual(reading.state === 'whole' && got.subarray(reading.end), DATA)
  assert.equal(got.readUIntBE(0, 3), 16_384)
})

test('holds the beginning of a block back, and nothing else', () => {
  const repair = authorityRepair(0)

  const first = repair(Buffer.concat([DATA, headers(0, BAD)]))
  const second = repair(continuation(endHeaders, Buffer.alloc(0)))

  assert.deepEqual(first, DATA)
  assert.deepEqual(second, headers(endHeaders, GOOD))
})

test('answers the very bytes when nothing is wrong with them', () => {
  const chunk = Buffer.concat([headers(endHeaders, GOOD), DATA])

  assert.equal(authorityRepair(0)(chunk).equals(chunk), true)
})

const BROKEN = [
  ['a frame longer than allowed', frame(FRAME_TYPE.headers, endHeaders, 1, Buffer.alloc(16_385))],
  ['padding longer than the frame', headers(endHeaders | padded, Buffer.from([9, 1, 2]))],
  ['a priority that does not fit', headers(endHeaders | priority, Buffer.from([1, 2]))],
  ['another frame inside a block', Buffer.concat([headers(0, BAD), DATA])],
  [
    'a CONTINUATION of another stream',
    Buffer.concat([headers(0, BAD), frame(FRAME_TYPE.continuation, endHeaders, 3, BAD)]),
  ],
] as const

for (const [what, sent] of BROKEN) {
  test(`leaves ${what}, and all that follows, to the HTTP/2 engine`, () => {
    const repair = authorityRepair(0)
    const later = headers(endHeaders, BAD)

    assert.deepEqual(Buffer.concat([repair(sent), repair(later)]), Buffer.concat([sent, later]))
  })
}

test('does not hold an endless block: it goes through unread', () => {
  const repair = authorityRepair(0)
  const endless = [headers(0, BAD), ...Array(20).fill(continuation(0, Buffer.alloc(16_000)))]

  const got = Buffer.concat(endless.map((each: Buffer) => repair(each)))

  assert.deepEqual(got, Buffer.concat(endless))
})
