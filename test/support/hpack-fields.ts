/** Header fields written by hand (RFC 7541, section 6), each form that a client may choose. */

/** Field 1 to 61 of the static table, or what a client has put into the dynamic one. */
export function indexed(index: number): Buffer {
  return integer(0x80, 7, index)
}

export type Indexing = 'incremental' | 'without' | 'never'

const INDEXING = {
  incremental: { pattern: 0x40, prefixBits: 6 },
  without: { pattern: 0x00, prefixBits: 4 },
  never: { pattern: 0x10, prefixBits: 4 },
} as const

/** A literal field; the name is a static table index or a string. */
export function literal(indexing: Indexing, name: number | Buffer, value: Buffer): Buffer {
  const { pattern, prefixBits } = INDEXING[indexing]
  return typeof name === 'number'
    ? Buffer.concat([integer(pattern, prefixBits, name), value])
    : Buffer.concat([Buffer.of(pattern), name, value])
}

export function plain(text: string): Buffer {
  return Buffer.concat([integer(0x00, 7, text.length), Buffer.from(text, 'latin1')])
}

/** A string that is Huffman-coded already, as hex. */
export function huffman(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex')
  return Buffer.concat([integer(0x80, 7, bytes.length), bytes])
}

export function tableSize(bytes: number): Buffer {
  return integer(0x20, 5, bytes)
}

function integer(pattern: number, prefixBits: number, value: number): Buffer {
  const limit = 2 ** prefixBits - 1
  if (value < limit) return Buffer.of(pattern | value)
  const bytes = [pattern | limit]
  let rest = value - limit
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Buffer.from([...bytes, rest])
}

export const SOCKET_PATH = '/var/run/x.sock'
/** SOCKET_PATH as golang.org/x/net/http2/hpack codes it. */
export const SOCKET_PATH_HUFFMAN = '63b8ec62cb6a63cae8393aff'
