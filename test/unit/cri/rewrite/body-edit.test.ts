import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bodyEdit, type MessageEdit } from '../../../../src/cri/rewrite/body-edit.ts'
import { MalformedMessageError } from '../../../../src/cri/wire.ts'
import { framed, unframed } from '../../../support/grpc-frames.ts'

const silent = { warn: () => {}, error: assert.fail }
const doubled: MessageEdit = (message) => Buffer.concat([message, message])

test('each message is changed, however the bytes are cut into chunks', () => {
  const bytes = framed(Buffer.from('one'), Buffer.alloc(0), Buffer.from('three'))

  for (let size = 1; size <= bytes.length; size += 1) {
    const edit = bodyEdit(doubled, silent)
    const out: Buffer[] = []
    for (let at = 0; at < bytes.length; at += size) {
      out.push(edit.chunk(bytes.subarray(at, at + size)))
    }

    assert.deepEqual(
      unframed(Buffer.concat(out)).map(String),
      ['oneone', '', 'threethree'],
      `${size} bytes at a time`,
    )
    assert.equal(edit.rest(), undefined)
  }
})

test('a message goes on as soon as it is complete', () => {
  const edit = bodyEdit(doubled, silent)
  const [first, second] = [framed(Buffer.from('a')), framed(Buffer.from('b'))]

  const out = edit.chunk(Buffer.concat([first, second.subarray(0, 3)]))

  assert.deepEqual(unframed(out).map(String), ['aa'])
})

test('what is not changed keeps its bytes', () => {
  const edit = bodyEdit((message) => message, silent)
  const bytes = framed(Buffer.from('one'), Buffer.from('two'))

  assert.deepEqual(edit.chunk(bytes), bytes)
})

test('a compressed message and one that is no protobuf go on as they came', () => {
  const warnings: unknown[] = []
  const edit = bodyEdit(
    () => {
      throw new MalformedMessageError('cut short')
    },
    { ...silent, warn: (data: unknown) => warnings.push(data) },
  )
  const compressed = framed(Buffer.from('zip'))
  compressed[0] = 1
  const plain = framed(Buffer.from('bad'))

  assert.deepEqual(
    edit.chunk(Buffer.concat([compressed, plain])),
    Buffer.concat([compressed, plain]),
  )
  assert.equal(warnings.length, 1)
})

test('a message beyond any that a kubelet takes passes unheld, and the next is changed', () => {
  const edit = bodyEdit(doubled, silent)
  const length = 40 * 1024 * 1024
  const start = Buffer.alloc(5)
  start.writeUInt32BE(length, 1)
  const half = Buffer.alloc(length / 2, 'x')

  const sizes = [start, half, half].map((chunk) => edit.chunk(chunk).length)
  const next = edit.chunk(framed(Buffer.from('a')))

  assert.deepEqual(sizes, [5, half.length, half.length])
  assert.deepEqual(unframed(next).map(String), ['aa'])
})

test('a stream that breaks off within a message still hands its bytes on', () => {
  const edit = bodyEdit(doubled, silent)
  const cut = framed(Buffer.from('whole')).subarray(0, 8)

  assert.equal(edit.chunk(cut).length, 0)

  assert.deepEqual(edit.rest(), cut)
})

test('an error of ours goes to the log, and the message on as it came', () => {
  const errors: unknown[] = []
  const edit = bodyEdit(
    () => {
      throw new TypeError('ours')
    },
    { ...silent, error: (data: unknown) => errors.push(data) },
  )

  assert.deepEqual(edit.chunk(framed(Buffer.from('a'))), framed(Buffer.from('a')))

  assert.equal(errors.length, 1)
})
