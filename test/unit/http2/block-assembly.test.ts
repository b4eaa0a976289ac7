import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BlockAssembly, type HeaderBlock } from '../../../src/http2/block-assembly.ts'
import { ConnectionError } from '../../../src/http2/errors.ts'
import { ERROR_CODE, FRAME_FLAG } from '../../../src/http2/frames.ts'

const { endHeaders, endStream } = FRAME_FLAG
const FULL = 16_384

function fails(code: number, work: () => unknown): void {
  assert.throws(work, (error) => error instanceof ConnectionError && error.code === code)
}

function textOf(block: HeaderBlock | undefined): string | undefined {
  return block?.fields.toString()
}

test('HEADERS that end the block are the block', () => {
  const block = new BlockAssembly().headers(endHeaders, 3, Buffer.from('abc'))

  assert.deepEqual(block, { streamId: 3, endStream: false, fields: Buffer.from('abc') })
})

test('the end of the stream is said in HEADERS, before the block is whole', () => {
  const blocks = new BlockAssembly()
  blocks.headers(endStream, 1, Buffer.from('a'))

  const block = blocks.continuation(endHeaders, 1, Buffer.from('b'))

  assert.deepEqual(block, { streamId: 1, endStream: true, fields: Buffer.from('ab') })
})

test('a flag of CONTINUATION that looks like the end of the stream is none', () => {
  const blocks = new BlockAssembly()
  blocks.headers(0, 1, Buffer.from('a'))

  assert.equal(blocks.continuation(endHeaders | endStream, 1, Buffer.alloc(0))?.endStream, false)
})

test('fragments are put together in order', () => {
  const blocks = new BlockAssembly()
  blocks.headers(0, 1, Buffer.from('one '))
  assert.equal(blocks.continuation(0, 1, Buffer.from('two ')), undefined)

  assert.equal(textOf(blocks.continuation(endHeaders, 1, Buffer.from('three'))), 'one two three')
})

test('a block is begun from HEADERS without its end to the CONTINUATION with it', () => {
  const blocks = new BlockAssembly()
  assert.equal(blocks.isBegun, false)
  blocks.headers(0, 1, Buffer.alloc(0))
  assert.equal(blocks.isBegun, true)

  blocks.continuation(endHeaders, 1, Buffer.alloc(0))

  assert.equal(blocks.isBegun, false)
})

test('the next block has nothing of the one before', () => {
  const blocks = new BlockAssembly()
  blocks.headers(0, 1, Buffer.from('old'))
  blocks.continuation(endHeaders, 1, Buffer.alloc(0))
  blocks.headers(0, 3, Buffer.from('new'))

  assert.equal(textOf(blocks.continuation(endHeaders, 3, Buffer.alloc(0))), 'new')
})

test('CONTINUATION without a begun block is an error of the connection', () => {
  fails(ERROR_CODE.protocolError, () =>
    new BlockAssembly().continuation(endHeaders, 1, Buffer.alloc(0)),
  )
})

test('CONTINUATION of another stream is an error of the connection', () => {
  const blocks = new BlockAssembly()
  blocks.headers(0, 1, Buffer.alloc(0))

  fails(ERROR_CODE.protocolError, () => blocks.continuation(endHeaders, 3, Buffer.alloc(0)))
})

test('a block of 256 KiB is taken, and a byte more is not', () => {
  const begin = (): BlockAssembly => {
    const blocks = new BlockAssembly()
    blocks.headers(0, 1, Buffer.alloc(FULL))
    for (let n = 0; n < 14; n += 1) blocks.continuation(0, 1, Buffer.alloc(FULL))
    return blocks
  }

  const block = begin().continuation(endHeaders, 1, Buffer.alloc(FULL))

  assert.equal(block?.fields.length, 256 * 1024)
  const more = begin()
  more.continuation(0, 1, Buffer.alloc(FULL))
  fails(ERROR_CODE.enhanceYourCalm, () => more.continuation(endHeaders, 1, Buffer.alloc(1)))
})

test('a block of 64 frames is taken, however small, and one more is not', () => {
  const begin = (): BlockAssembly => {
    const blocks = new BlockAssembly()
    blocks.headers(0, 1, Buffer.alloc(0))
    for (let n = 0; n < 62; n += 1) blocks.continuation(0, 1, Buffer.alloc(0))
    return blocks
  }

  assert.equal(begin().continuation(endHeaders, 1, Buffer.from('a'))?.fields.length, 1)
  const more = begin()
  more.continuation(0, 1, Buffer.alloc(0))
  fails(ERROR_CODE.enhanceYourCalm, () => more.continuation(endHeaders, 1, Buffer.alloc(0)))
})
