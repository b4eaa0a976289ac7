/**
 * Messages of protobuf, version 3: by field, and whole by their types. With @grpc/proto-loader and protobufjs
 * each start takes 48 ms of processor time (a seventh of it) and 3 MiB more.
 * https://protobuf.dev/programming-guides/encoding/
 */

const VARINT = 0
const FIXED64 = 1
export const LENGTH_DELIMITED = 2
const FIXED32 = 5
/** Twice the number of images in a list of 16 MiB; each field costs time and memory. */
const MAX_FIELDS = 200_000

/** Where a field is in its message. */
export interface FieldPlace {
  readonly number: number
  readonly type: number
  /** Offset of the tag. */
  readonly start: number
  /** Offset of the value; of a length-delimited field, after the length. */
  readonly value: number
  readonly end: number
}

/** Not a protobuf message: truncated, with a wire type that proto 3 does not use, or with too many fields. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError'
}

/** @throws MalformedMessageError when it comes to what is no field */
export function* fields(message: Uint8Array): Generator<FieldPlace> {
  let at = 0
  let count = 0
  while (at < message.length) {
    count += 1
    if (count > MAX_FIELDS) throw new MalformedMessageError(`more than ${MAX_FIELDS} fields`)
    const start = at
    const tag = decodeVarint(message, at)
    const number = Math.floor(tag.value / 8)
    const type = tag.value % 8
    let value = tag.end
    if (type === VARINT) at = decodeVarint(message, value).end
    else if (type === FIXED64) at = value + 8
    else if (type === FIXED32) at = value + 4
    else if (type === LENGTH_DELIMITED) {
      const length = decodeVarint(message, value)
      value = length.end
      at = value + length.value
    } else throw new MalformedMessageError(`wire type ${type}`)
    if (at > message.length || number === 0) throw new MalformedMessageError('cut short')
    yield { number, type, start, value, end: at }
  }
}

export function encodeField(field: number, bytes: Uint8Array): Uint8Array {
  const tag = encodeVarint(field * 8 + LENGTH_DELIMITED)
  return Buffer.concat([tag, encodeVarint(bytes.length), bytes])
}

/** Values above 2^53 lose precision. That matters only for lengths, and no message is that long. */
function decodeVarint(message: Uint8Array, at: number): { value: number; end: number } {
  let value = 0
  for (let index = 0; index < 10; index += 1) {
    const byte = message[at + index]
    if (byte === undefined) break
    value += (byte & 0x7f) * 2 ** (7 * index)
    if (byte < 0x80) return { value, end: at + index + 1 }
  }
  throw new MalformedMessageError('a varint without an end')
}

function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}

/** A value of one type: a scalar, an enum or a message. */
export interface ValueType {
  readonly wireType: number
  /** Of a field that is absent. */
  readonly absent: unknown
  /** @param at offset of the value, which ends before `end` */
  read(message: Buffer, at: number, end: number): unknown
  /** With its length, where it has one. */
  write(value: unknown): Uint8Array
}

export interface MessageField {
  readonly number: number
  /** In camelCase. */
  readonly name: string
  readonly type: ValueType
  /** `map`: the type is that of its entries. */
  readonly count: 'one' | 'repeated' | 'map'
}

type Message = Record<string, unknown>

/**
 * A message as an object with every field: 64-bit integers are decimal strings, enums their names, absent
 * messages null, other absent fields their defaults.
 */
export class MessageType implements ValueType {
  readonly wireType = LENGTH_DELIMITED
  readonly absent = null
  /** By their numbers. */
  readonly #fields = new Map<number, MessageField>()

  add(field: MessageField): this {
    this.#fields.set(field.number, field)
    return this
  }

  /** @throws MalformedMessageError */
  decode(message: Buffer): Message {
    const decoded: Message = {}
    for (const { name, type, count } of this.#fields.values()) {
      decoded[name] = count === 'one' ? type.absent : count === 'map' ? {} : []
    }
    for (const { number, type: wireType, value: at, end } of fields(message)) {
      const field = this.#fields.get(number)
      if (field === undefined || wireType !== field.type.wireType) continue
      const value = field.type.read(message, at, end)
      if (field.count === 'one') decoded[field.name] = value
      else if (field.count === 'repeated') (decoded[field.name] as unknown[]).push(value)
      else {
        const entry = value as { readonly key: string; readonly value: unknown }
        ;(decoded[field.name] as Message)[entry.key] = entry.value
      }
    }
    return decoded
  }

  /** @param message fields that are undefined or null are left out */
  encode(message: object): Buffer {
    const parts: Uint8Array[] = []
    for (const { number, name, type, count } of this.#fields.values()) {
      const given = (message as Message)[name]
      if (given === undefined || given === null) continue
      const tag = encodeVarint(number * 8 + type.wireType)
      for (const value of valuesOf(given, count)) parts.push(tag, type.write(value))
    }
    return Buffer.concat(parts)
  }

  read(message: Buffer, at: number, end: number): Message {
    return this.decode(message.subarray(at, end))
  }

  write(value: unknown): Uint8Array {
    return delimited(this.encode(value as object))
  }
}

function valuesOf(given: unknown, count: MessageField['count']): readonly unknown[] {
  if (count === 'one') return [given]
  if (count === 'repeated') return given as readonly unknown[]
  return Object.entries(given as Message).map(([key, value]) => ({ key, value }))
}

/** Read as names, and numbers where they have none; written from either. */
export function enumType(names: ReadonlyMap<number, string>): ValueType {
  const numbers = new Map([...names].map(([number, name]) => [name, number]))
  return {
    wireType: VARINT,
    absent: names.get(0),
    read: (message, at) => {
      const number = low32(message, at) | 0
      return names.get(number) ?? number
    },
    write: (value) => encode64(numbers.get(String(value)) ?? Number(value)),
  }
}

export const SCALARS = {
  bool: varint(
    false,
    (message, at) => exact64(message, at) !== 0,
    (value) => (value ? 1 : 0),
  ),
  int32: varint(
    0,
    (message, at) => low32(message, at) | 0,
    (value) => Number(value) | 0,
  ),
  uint32: varint(
    0,
    (message, at) => low32(message, at) >>> 0,
    (value) => Number(value) >>> 0,
  ),
  int64: varint(
    '0',
    (message, at) => String(BigInt.asIntN(64, BigInt(exact64(message, at)))),
    (value) => BigInt(value as string),
  ),
  uint64: varint(
    '0',
    (message, at) => String(exact64(message, at)),
    (value) => BigInt(value as string),
  ),
  double: {
    wireType: FIXED64,
    absent: 0,
    read: (message, at) => message.readDoubleLE(at),
    write: (value) => {
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(Number(value))
      return bytes
    },
  },
  string: {
    wireType: LENGTH_DELIMITED,
    absent: '',
    read: (message, at, end) => message.toString('utf8', at, end),
    write: (value) => delimited(Buffer.from(String(value), 'utf8')),
  },
  bytes: {
    wireType: LENGTH_DELIMITED,
    absent: Buffer.alloc(0),
    read: (message, at, end) => message.subarray(at, end),
    write: (value) => delimited(value as Uint8Array),
  },
} satisfies Readonly<Record<string, ValueType>>

function varint(
  absent: unknown,
  read: ValueType['read'],
  toNumber: (value: unknown) => number | bigint,
): ValueType {
  return { wireType: VARINT, absent, read, write: (value) => encode64(toNumber(value)) }
}

function delimited(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([encodeVarint(bytes.length), bytes])
}

/** Negative numbers have ten bytes, of whatever type. */
function encode64(value: number | bigint): Uint8Array {
  if (typeof value === 'number' && value >= 0) return encodeVarint(value)
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Uint8Array.from(bytes)
}

/** The lower 32 bits of a varint, signed. */
function low32(message: Uint8Array, at: number): number {
  let value = 0
  for (let index = 0; index < 5; index += 1) {
    const byte = message[at + index] ?? 0
    value |= (byte & 0x7f) << (7 * index)
    if (byte < 0x80) break
  }
  return value
}

/** A varint, unsigned; a bigint where a number would not be exact. */
function exact64(message: Uint8Array, at: number): number | bigint {
  const { value, end } = decodeVarint(message, at)
  if (Number.isSafeInteger(value)) return value
  let exact = 0n
  for (let index = end - 1; index >= at; index -= 1) {
    exact = (exact << 7n) | BigInt((message[index] ?? 0) & 0x7f)
  }
  return BigInt.asUintN(64, exact)
}
