import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConnectionError,
  ERROR_CODE,
  FRAME_TYPE,
  FrameReader,
  frame,
  MAX_PAYLOAD_BYTES,
} from '../../../src/http2/frames.ts'
import { chunked } from '../../support/hostile-frames.ts'

type Seen = readonly [type: number, flags: number, streamId: number, payload: string]

function read(chunks: readonly Buffer[]): Seen[] {
  const seen: Seen[] = []
  const reader = new FrameReader((type, flags, streamId, payload) => {
    seen.push([type, flags, streamId, payload.toString('latin1')])
  })
  for (const chunk of chunks) {
    const memory = Buffer.from(chunk)
    reader.push(memory)
    // As the owner of the memory may, once it is read.
    memory.fill(0xee)
  }
  return seen
}

const LONGEST = 'x'.repeat(MAX_PAYLOAD_BYTES)
const FRAMES: readonly Seen[] = [
  [4, 0, 0, ''],
  [0, 1, 1, 'a'],
  [0, 0, 3, LONGEST],
  [255, 255, 0x7fffffff, 'some bytes'],
  [6, 1, 0, '12345678'],
]
const BYTES = Buffer.concat(
  FRAMES.map(([type, flags, id, payload]) => frame(type, flags, id, Buffer.from(payload))),
)

for (const size of [1, 2, 8, 9, 10, 11, 4_096, 16_393, BYTES.length]) {
  test(`frames are the same in chunks of ${size} bytes`, () => {
    assert.deepEqual(read(chunked(BYTES, size)), FRAMES)
  })
}

test('the first bit of a number of a stream is passed over', () => {
  const bytes = frame(FRAME_TYPE.data, 0, 7, Buffer.alloc(0))
  bytes.writeUInt8(0x80, 5)

  assert.deepEqual(read([bytes]), [[0, 0, 7, '']])
})

test('an empty chunk is nothing', () => {
  assert.deepEqual(read([Buffer.alloc(0)]), [])
})

test('a payload out of one chunk is not copied', () => {
  const bytes = frame(FRAME_TYPE.data, 0, 1, Buffer.from('abc'))
  const payloads: Buffer[] = []

  new FrameReader((_type, _flags, _id, payload) => payloads.push(payload)).push(bytes)

  assert.equal(payloads[0]?.buffer, bytes.buffer)
})

for (const size of [1, 9, 100]) {
  test(`a frame that is too long is refused by its first nine bytes, in chunks of ${size}`, () => {
    const bytes = frame(FRAME_TYPE.data, 0, 1, Buffer.alloc(0))
    bytes.writeUIntBE(MAX_PAYLOAD_BYTES + 1, 0, 3)

    assert.throws(
      () => read(chunked(bytes, size)),
      (error) => error instanceof ConnectionError && error.code === ERROR_CODE.frameSizeError,
    )
  })
}
