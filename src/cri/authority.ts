import { decodeHuffman } from './huffman.ts'

/**
 * A valid `:authority` in the place of one that Node's HTTP/2 engine (nghttp2) refuses.
 *
 * grpc-go before 1.55, and so kubelet and crictl before 1.29, send the path of the socket. The
 * substitute is as long as the original when decoded and keeps its indexing form, so the entry in
 * the dynamic table has the same size on both ends (RFC 7541, section 4.1) and later references to
 * it, or evictions because of it, stay right. Nothing else in the block needs to be understood.
 */

const AUTHORITY = ':authority'
/** Its place in the static table (RFC 7541, appendix A). */
const AUTHORITY_INDEX = 1
/** All but what every nghttp2 lets pass; the at sign depends on its version. */
const REFUSED = /[^!$%&'()*+,\-.0-9:;=A-Z[\]_a-z~]/g

interface Cursor {
  readonly block: Buffer
  offset: number
}

/** Thrown inside this file only: the block ends too early or holds a code that cannot be. */
class Malformed extends Error {}

/**
 * Takes one whole header block. Answers the block to use instead, or undefined when it can stay as
 * it is: its authority is fine or not in it, or it is malformed, which the HTTP/2 engine behind us
 * knows better how to answer.
 */
export function repairAuthority(block: Buffer): Buffer | undefined {
  try {
    return rewrite(block)
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

function rewrite(block: Buffer): Buffer | undefined {
  const cursor: Cursor = { block, offset: 0 }
  const pieces: Buffer[] = []
  let copied = 0
  while (cursor.offset < block.length) {
    const nameIsAuthority = readUpToValue(cursor)
    if (nameIsAuthority === undefined) continue
    const valueAt = cursor.offset
    const value = readString(cursor)
    if (!nameIsAuthority) continue
    const text = decoded(value).toString('latin1')
    const repaired = text.replace(REFUSED, '-')
    if (repaired === text) continue
    pieces.push(block.subarray(copied, valueAt), rawString(repaired))
    copied = cursor.offset
  }
  if (copied === 0) return undefined
  return Buffer.concat([...pieces, block.subarray(copied)])
}

/**
 * Reads one representation (RFC 7541, section 6) as far as its value. Answers whether its name is
 * `:authority`; undefined when no value follows. A name that is taken from the dynamic table is never
 * `:authority`: every encoder looks in the static table first.
 */
function readUpToValue(cursor: Cursor): boolean | undefined {
  const first = byteAt(cursor)
  const isIndexed = (first & 0x80) !== 0
  const isTableSize = (first & 0xe0) === 0x20
  if (isIndexed || isTableSize) {
    readInteger(cursor, isIndexed ? 7 : 5)
    return undefined
  }
  const addsToTable = (first & 0x40) !== 0
  const nameIndex = readInteger(cursor, addsToTable ? 6 : 4)
  if (nameIndex !== 0) return nameIndex === AUTHORITY_INDEX
  const name = readString(cursor)
  return decoded(name).equals(Buffer.from(AUTHORITY))
}

interface HpackString {
  readonly bytes: Buffer
  readonly huffman: boolean
}

function readString(cursor: Cursor): HpackString {
  const huffman = (byteAt(cursor) & 0x80) !== 0
  const length = readInteger(cursor, 7)
  const end = cursor.offset + length
  if (end > cursor.block.length) throw new Malformed()
  const bytes = cursor.block.subarray(cursor.offset, end)
  cursor.offset = end
  return { bytes, huffman }
}

function decoded(string: HpackString): Buffer {
  if (!string.huffman) return string.bytes
  const bytes = decodeHuffman(string.bytes)
  if (bytes === undefined) throw new Malformed()
  return bytes
}

/** RFC 7541, section 5.1. Four continuation bytes hold any length that a block can have. */
function readInteger(cursor: Cursor, prefixBits: number): number {
  const mask = (1 << prefixBits) - 1
  let value = byteAt(cursor) & mask
  cursor.offset += 1
  if (value < mask) return value
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = byteAt(cursor)
    cursor.offset += 1
    value += (byte & 0x7f) << shift
    if ((byte & 0x80) === 0) return value
  }
  throw new Malformed()
}

function byteAt(cursor: Cursor): number {
  const byte = cursor.block[cursor.offset]
  if (byte === undefined) throw new Malformed()
  return byte
}

function rawString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 0x7f) return Buffer.concat([Buffer.of(bytes.length), bytes])
  const prefix = [0x7f]
  let rest = bytes.length - 0x7f
  for (; rest >= 0x80; rest >>= 7) prefix.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...prefix, rest]), bytes])
}
