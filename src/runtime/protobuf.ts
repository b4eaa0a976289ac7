/**
 * Messages of our proto files, read and written by field tables: https://protobuf.dev/programming-guides/encoding/
 *
 * proto-loader costs a start 70 ms of processor time and 10 MiB that stay, most of it for the full grammar
 * of proto files and for code that is written for each message. Ours need little of either.
 */

/** In JavaScript: 64-bit integers are decimal strings, enums their names, bytes a Buffer. */
export interface MessageType {
  encode(value: object): Buffer
  /**
   * Absent messages are null, other absent fields their defaults; unknown fields are passed over. The
   * last occurrence of a field counts. Bytes are a view into the message.
   *
   * @throws Error for bytes that are no such message
   */
  decode(bytes: Uint8Array): object
}

const VARINT = 0
const FIXED64 = 1
const LENGTH_DELIMITED = 2
const FIXED32 = 5
/** Beyond it bits are not what numbers count. */
const SMALL = 2 ** 31 - 1

const NO_FIELDS: ReadonlyMap<number, Field> = new Map()

export interface Field {
  readonly name: string
  readonly number: number
  readonly isRepeated: boolean
  readonly type: FieldType
}

export interface FieldType {
  readonly wireType: number
  /** The value of an absent field; undefined: an empty map. */
  readonly absent: unknown
  readonly isMap?: boolean
  /** Without its tag; of what is length-delimited, without its length. */
  encode(value: unknown): Uint8Array
  decode(reader: Reader): unknown
}

export class Message implements MessageType {
  #fields = NO_FIELDS

  define(fields: readonly Field[]): void {
    const inOrder = [...fields].sort((one, other) => one.number - other.number)
    this.#fields = new Map(inOrder.map((field) => [field.number, field]))
  }

  encode(value: object): Buffer {
    const parts: Uint8Array[] = []
    for (const { name, number, isRepeated, type } of this.#fields.values()) {
      const given = (value as Readonly<Record<string, unknown>>)[name]
      if (given === undefined || given === null) continue
      const values = isRepeated
        ? (given as readonly unknown[])
        : type.isMap
          ? Object.entries(given)
          : [given]
      for (const each of values) {
        const bytes = type.encode(each)
        parts.push(encodeVarint(number * 8 + type.wireType))
        if (type.wireType === LENGTH_DELIMITED) parts.push(encodeVarint(bytes.length))
        parts.push(bytes)
      }
    }
    return Buffer.concat(parts)
  }

  decode(bytes: Uint8Array): object {
    const message: Record<string, unknown> = {}
    for (const { name, isRepeated, type } of this.#fields.values()) {
      message[name] = isRepeated ? [] : type.isMap ? {} : type.absent
    }
    const reader = new Reader(bytes)
    while (!reader.isAtEnd()) {
      const tag = reader.size()
      const field = this.#fields.get(Math.floor(tag / 8))
      if (field === undefined || field.type.wireType !== tag % 8) {
        reader.skip(tag % 8)
        continue
      }
      const { name, isRepeated, type } = field
      const value = type.decode(reader)
      if (isRepeated) (message[name] as unknown[]).push(value)
      else if (type.isMap) defineEntry(message[name] as object, value as MapEntry)
      else message[name] = value
    }
    return message
  }
}

type MapEntry = readonly [key: string, value: string]

/** A key may be `__proto__`. */
function defineEntry(map: object, [key, value]: MapEntry): void {
  Object.defineProperty(map, key, { value, configurable: true, enumerable: true, writable: true })
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  uint64(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new Error('not a protobuf message: a number without an end')
  }

  int32(): number {
    return Number(BigInt.asIntN(32, this.uint64()))
  }

  /** A tag or a length. */
  size(): number {
    const first = this.#byte()
    if (first < 0x80) return first
    this.#at -= 1
    return Number(this.uint64())
  }

  double(): number {
    return this.#take(8).readDoubleLE()
  }

  bytes(): Buffer {
    return this.#take(this.size())
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.uint64()
    else if (wireType === FIXED64) this.#take(8)
    else if (wireType === LENGTH_DELIMITED) this.bytes()
    else if (wireType === FIXED32) this.#take(4)
    else throw new Error(`not a protobuf message: wire type ${wireType}`)
  }

  #byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new Error('not a protobuf message: cut short')
    this.#at += 1
    return byte
  }

  #take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#bytes.length) throw new Error('not a protobuf message: cut short')
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }
}

export function isLengthDelimited({ wireType }: FieldType): boolean {
  return wireType === LENGTH_DELIMITED
}

function encodeVarint(value: number | bigint): Uint8Array {
  const bytes: number[] = []
  // Nearly all are tags and lengths.
  if (typeof value === 'number' && value >= 0 && value <= SMALL) {
    let rest = value
    for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
    bytes.push(rest)
    return Uint8Array.from(bytes)
  }
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

const string: FieldType = {
  wireType: LENGTH_DELIMITED,
  absent: '',
  encode: (value) => Buffer.from(String(value), 'utf8'),
  decode: (reader) => reader.bytes().toString('utf8'),
}

const number = {
  wireType: VARINT,
  absent: 0,
  encode: (value: unknown) => encodeVarint(Number(value)),
}
const decimal = {
  wireType: VARINT,
  absent: '0',
  encode: (value: unknown) => encodeVarint(BigInt(value as bigint | number | string)),
}

export const scalars: Readonly<Record<string, FieldType>> = {
  string,
  bytes: {
    wireType: LENGTH_DELIMITED,
    absent: Buffer.alloc(0),
    encode: (value) => value as Uint8Array,
    decode: (reader) => reader.bytes(),
  },
  bool: {
    wireType: VARINT,
    absent: false,
    encode: (value) => Uint8Array.of(value ? 1 : 0),
    decode: (reader) => reader.uint64() !== 0n,
  },
  double: {
    wireType: FIXED64,
    absent: 0,
    encode: (value) => {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(Number(value))
      return bytes
    },
    decode: (reader) => reader.double(),
  },
  int32: { ...number, decode: (reader) => reader.int32() },
  uint32: { ...number, decode: (reader) => reader.int32() >>> 0 },
  int64: { ...decimal, decode: (reader) => BigInt.asIntN(64, reader.uint64()).toString() },
  uint64: { ...decimal, decode: (reader) => reader.uint64().toString() },
}

/** A value without a name stays a number, as proto 3 wants it. */
export function enumType(values: readonly (readonly [name: string, value: number])[]): FieldType {
  const numbers = new Map<unknown, number>(values)
  const names = new Map(values.map(([name, value]) => [value, name]))
  return {
    wireType: VARINT,
    absent: names.get(0),
    encode: (value) => encodeVarint(numbers.get(value) ?? (value as number)),
    decode: (reader) => {
      const value = reader.int32()
      return names.get(value) ?? value
    },
  }
}

export function embedded(message: Message): FieldType {
  return {
    wireType: LENGTH_DELIMITED,
    absent: null,
    encode: (value) => message.encode(value as object),
    decode: (reader) => message.decode(reader.bytes()),
  }
}

const entryMessage = new Message()
entryMessage.define(
  ['key', 'value'].map((name, index) => ({
    name,
    number: index + 1,
    isRepeated: false,
    type: string,
  })),
)

export const stringMap: FieldType = {
  wireType: LENGTH_DELIMITED,
  absent: undefined,
  isMap: true,
  encode: (entry) => {
    const [key, value] = entry as MapEntry
    return entryMessage.encode({ key, value })
  },
  decode: (reader): MapEntry => {
    const { key, value } = entryMessage.decode(reader.bytes()) as { key: string; value: string }
    return [key, value]
  },
}
