import assert from 'node:assert/strict'
import { test } from 'node:test'
import { repairAuthority } from '../../../src/cri/authority.ts'
import {
  AUTHORITY_HUFFMAN,
  huffman,
  indexed,
  literal,
  plain,
  SOCKET_PATH,
  SOCKET_PATH_HUFFMAN,
  tableSize,
} from '../../support/hpack-fields.ts'

const POST = indexed(3)
const REST = literal('incremental', 4, plain('/runtime.v1.RuntimeService/Version'))
const REPAIRED = plain('-var-run-x.sock')
const NAME = plain(':authority')
const LONG = `/${'long/'.repeat(200)}x`

const REFUSED = [
  ['a plain value, indexed', literal('incremental', 1, plain(SOCKET_PATH)), 0x41],
  ['a Huffman value, indexed', literal('incremental', 1, huffman(SOCKET_PATH_HUFFMAN)), 0x41],
  ['a value without indexing', literal('without', 1, plain(SOCKET_PATH)), 0x01],
  ['a value that is never indexed', literal('never', 1, huffman(SOCKET_PATH_HUFFMAN)), 0x11],
] as const

for (const [what, field, firstByte] of REFUSED) {
  test(`gives ${what}, the same decoded length and the same indexing`, () => {
    const repaired = repairAuthority(Buffer.concat([POST, field, REST]))

    assert.deepEqual(repaired, Buffer.concat([POST, Buffer.of(firstByte), REPAIRED, REST]))
  })
}

for (const name of [NAME, huffman(AUTHORITY_HUFFMAN)]) {
  test(`knows the name when it is spelt out, ${name === NAME ? 'plain' : 'in Huffman code'}`, () => {
    const field = literal('incremental', name, huffman(SOCKET_PATH_HUFFMAN))

    const repaired = repairAuthority(Buffer.concat([field, REST]))

    assert.deepEqual(repaired, Buffer.concat([literal('incremental', name, REPAIRED), REST]))
  })
}

test('writes a long length as it must be written', () => {
  const repaired = repairAuthority(literal('incremental', 1, plain(LONG)))

  assert.deepEqual(repaired, literal('incremental', 1, plain(LONG.replaceAll('/', '-'))))
})

test('repairs every authority of a block, should a client send more than one', () => {
  const field = literal('without', 1, plain('a/b'))

  const repaired = repairAuthority(Buffer.concat([field, POST, field]))

  const fixed = literal('without', 1, plain('a-b'))
  assert.deepEqual(repaired, Buffer.concat([fixed, POST, fixed]))
})

const LEFT_ALONE = [
  ['a host', literal('incremental', 1, plain('localhost'))],
  ['a host in Huffman code', literal('incremental', 1, huffman('a0e41d139d09'))],
  ['a percent-encoded path, as grpc-go sends since 1.55', literal('without', 1, plain('%2Frun'))],
  ['an address with a port', literal('without', 1, plain('[::1]:80'))],
  ['an empty value, for which there is no other of its length', literal('without', 1, plain(''))],
  ['an authority in the table', indexed(62)],
  ['a slash in another field', literal('incremental', 4, plain('/a/b'))],
  ['another literal name', literal('never', plain('authority'), plain('/a'))],
  ['a new table size', Buffer.concat([tableSize(4096), POST])],
  ['nothing', Buffer.alloc(0)],
] as const

for (const [what, block] of LEFT_ALONE) {
  test(`leaves ${what} alone`, () => {
    assert.equal(repairAuthority(block), undefined)
  })
}

const BAD_AUTHORITY = literal('incremental', 1, plain(SOCKET_PATH))
const MALFORMED = [
  ['a value that ends too early', Buffer.concat([BAD_AUTHORITY, Buffer.from([0x44, 0x05, 0x2f])])],
  ['a length without an end', Buffer.concat([BAD_AUTHORITY, Buffer.from([0x44, 0x7f, 0xff])])],
  ['a length of more than four bytes', Buffer.from([0x41, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f])],
  ['a Huffman value with wrong padding', literal('incremental', 1, huffman('a8eb10649cbe'))],
  ['a literal without a value', Buffer.of(0x41)],
] as const

for (const [what, block] of MALFORMED) {
  test(`leaves a block with ${what} to the HTTP/2 engine`, () => {
    assert.equal(repairAuthority(block), undefined)
  })
}
