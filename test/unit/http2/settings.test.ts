import assert from 'node:assert/strict'
import { getPackedSettings } from 'node:http2'
import { test } from 'node:test'
import {
  ConnectionError,
  ERROR_CODE,
  readSettings,
  writeSettings,
} from '../../../src/http2/frames.ts'

function entry(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUInt16BE(id, 0)
  bytes.writeUInt32BE(value, 2)
  return bytes
}

function fails(code: number, payload: Buffer): void {
  assert.throws(
    () => readSettings(payload),
    (error) => error instanceof ConnectionError && error.code === code,
  )
}

const ALL = {
  enablePush: 0,
  maxConcurrentStreams: 100,
  initialWindowSize: 0x7fffffff,
  maxFrameSize: 2 ** 24 - 1,
  maxHeaderListSize: 0xffffffff,
}

test('what was written is read', () => {
  assert.deepEqual(readSettings(writeSettings(ALL)), ALL)
})

test("settings are written in the order given, as Node's are", () => {
  const settings = { maxConcurrentStreams: 7, initialWindowSize: 9 }

  assert.deepEqual(writeSettings(settings), Buffer.concat([entry(3, 7), entry(4, 9)]))
  assert.deepEqual(readSettings(getPackedSettings(settings)), settings)
})

test('nothing is nothing', () => {
  assert.deepEqual(readSettings(writeSettings({})), {})
})

test('what nobody knows is passed over, and the header table, which is not used', () => {
  const payload = Buffer.concat([entry(1, 0), entry(0, 1), entry(0xffff, 5), entry(8, 1)])

  assert.deepEqual(readSettings(payload), {})
})

test('of a setting that comes twice the last one counts', () => {
  assert.deepEqual(readSettings(Buffer.concat([entry(4, 1), entry(4, 2)])), {
    initialWindowSize: 2,
  })
})

for (const bytes of [1, 5, 7, 11]) {
  test(`${bytes} bytes are no settings`, () => {
    fails(ERROR_CODE.frameSizeError, Buffer.alloc(bytes))
  })
}

test('a window beyond what windows may be is an error of flow control', () => {
  assert.equal(readSettings(entry(4, 0x7fffffff)).initialWindowSize, 0x7fffffff)
  fails(ERROR_CODE.flowControlError, entry(4, 0x80000000))
})

test('whether push is allowed is 0 or 1', () => {
  assert.equal(readSettings(entry(2, 1)).enablePush, 1)
  fails(ERROR_CODE.protocolError, entry(2, 2))
})

test('the size of frames has a least and a most', () => {
  assert.equal(readSettings(entry(5, 16_384)).maxFrameSize, 16_384)
  assert.equal(readSettings(entry(5, 2 ** 24 - 1)).maxFrameSize, 2 ** 24 - 1)
  fails(ERROR_CODE.protocolError, entry(5, 16_383))
  fails(ERROR_CODE.protocolError, entry(5, 2 ** 24))
})
