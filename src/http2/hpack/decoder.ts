import { ConnectionError, ERROR_CODE } from '../frames.ts'
import type { HeaderList } from '../headers.ts'
import { decodeHuffman } from './huffman.ts'
import {
  DynamicTable,
  FIELD_OVERHEAD_BYTES,
  STATIC_TABLE,
  TABLE_LIMIT_BYTES,
  type TableEntry,
} from './tables.ts'

/** The peer's compression is broken: the connection cannot go on (RFC 9113, section 4.3). */
export class CompressionError extends ConnectionError {
  constructor(message: string) {
    super(ERROR_CODE.compressionError, message)
  }
}

export interface Decoded {
  readonly list: HeaderList
  /** Of what is kept of the list, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
  readonly listBytes: number
  /** The list was longer than allowed: it is cut, while the table is right all the same. */
  readonly isTooLong: boolean
}

/** Four bytes beyond the prefix: more than any index, table size or string can have use for. */
const LONGEST_INTEGER_SHIFT = 21

/** Decodes the header blocks of one direction of one connection, in order (RFC 7541). */
export class HpackDecoder {
  readonly #table = new DynamicTable()
  readonly #maxListBytes: number

  /**
   * @param maxListBytes as SETTINGS_MAX_HEADER_LIST_SIZE counts: names, values, 32 for each field.
   *   The limit of the table is the default, 4,096 bytes: no setting of ours changes it.
   */
  constructor(maxListBytes: number) {
    this.#maxListBytes = maxListBytes
  }

  /**
   * @param block the fragments of HEADERS and its CONTINUATIONs, whole. How long it may be is up to
   *   the caller; time is linear in it, and what is kept is bounded by `maxListBytes`.
   * @throws CompressionError
   */
  decode(block: Buffer): Decoded {
    const reader = new BlockReader(block)
    while (reader.hasMore && isTableSizeUpdate(reader.nextByte)) this.#resize(reader.integer(5))

    const fields: string[] = []
    let sensitive: Set<string> | undefined
    let listBytes = 0
    while (reader.hasMore) {
      const form = reader.nextByte
      const { name, value } = this.#readField(reader, form)
      listBytes += name.length + value.length + FIELD_OVERHEAD_BYTES
      // The rest is read for the table's sake; one byte of it can name four thousand: keep none.
      if (listBytes > this.#maxListBytes) continue
      fields.push(name, value)
      if (isNeverIndexed(form)) {
        sensitive ??= new Set()
        sensitive.add(name)
      }
    }
    const isTooLong = listBytes > this.#maxListBytes
    return {
      list: { fields, sensitive },
      listBytes: isTooLong ? this.#maxListBytes : listBytes,
      isTooLong,
    }
  }

  #resize(maxBytes: number): void {
    if (maxBytes > TABLE_LIMIT_BYTES) throw new CompressionError('a table size above the limit')
    this.#table.resize(maxBytes)
  }

  #readField(reader: BlockReader, form: number): TableEntry {
    if (isIndexed(form)) return this.#entryAt(reader.integer(7))
    if (isTableSizeUpdate(form)) throw new CompressionError('a table size update between fields')
    const isRemembered = isWithIncrementalIndexing(form)
    const nameIndex = reader.integer(isRemembered ? 6 : 4)
    const name = nameIndex === 0 ? reader.string() : this.#entryAt(nameIndex).name
    const entry = { name, value: reader.string() }
    if (isRemembered) this.#table.add(entry)
    return entry
  }

  #entryAt(index: number): TableEntry {
    const entry = STATIC_TABLE[index - 1] ?? this.#table.at(index - 1 - STATIC_TABLE.length)
    if (entry === undefined) throw new CompressionError('an index beyond the tables')
    return entry
  }
}

/** The forms of a field, by the first bits of its first byte (RFC 7541, section 6). */
function isIndexed(form: number): boolean {
  return (form & 0x80) !== 0
}

function isWithIncrementalIndexing(form: number): boolean {
  return (form & 0xc0) === 0x40
}

function isTableSizeUpdate(form: number): boolean {
  return (form & 0xe0) === 0x20
}

function isNeverIndexed(form: number): boolean {
  return (form & 0xf0) === 0x10
}

/** Reads integers and strings (RFC 7541, section 5) from a block, one after the other. */
class BlockReader {
  readonly #block: Buffer
  #offset = 0

  constructor(block: Buffer) {
    this.#block = block
  }

  get hasMore(): boolean {
    return this.#offset < this.#block.length
  }

  /** The next byte, which is not taken yet. */
  get nextByte(): number {
    const byte = this.#block[this.#offset]
    if (byte === undefined) throw new CompressionError('a block that ends within a field')
    return byte
  }

  /** An integer that begins in the last `prefixBits` of the next byte. */
  integer(prefixBits: number): number {
    const most = (1 << prefixBits) - 1
    let value = this.nextByte & most
    this.#offset += 1
    if (value < most) return value
    for (let shift = 0; shift <= LONGEST_INTEGER_SHIFT; shift += 7) {
      const byte = this.nextByte
      this.#offset += 1
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new CompressionError('an integer of more than five bytes')
  }

  /** A string, Huffman-coded or not, as latin1. */
  string(): string {
    const isHuffman = (this.nextByte & 0x80) !== 0
    const length = this.integer(7)
    const start = this.#offset
    const end = start + length
    if (end > this.#block.length) throw new CompressionError('a string beyond its block')
    this.#offset = end
    if (!isHuffman) return this.#block.toString('latin1', start, end)
    const text = decodeHuffman(this.#block, start, end)
    if (text === undefined) throw new CompressionError('a string that is not Huffman code')
    return text
  }
}
