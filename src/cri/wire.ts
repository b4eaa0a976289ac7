/**
 * Reads and replaces single fields of a protobuf message and keeps every other byte. Decoding and
 * encoding a message would drop the fields of newer kubelets that are unknown here.
 * https://protobuf.dev/programming-guides/encoding/
 */

const VARINT = 0
const FIXED64 = 1
const LENGTH_DELIMITED = 2
const FIXED32 = 5
/** Twice the number of images in a list of 16 MiB; each field costs time and memory. */
const MAX_FIELDS = 200_000

interface Field {
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

/** The last occurrence wins, as for every scalar in protobuf; absent is ''. */
export function readString(message: Uint8Array, field: number): string {
  let found: Field | undefined
  for (const candidate of fields(message)) {
    if (candidate.number === field && candidate.type === LENGTH_DELIMITED) found = candidate
  }
  if (found === undefined) return ''
  return Buffer.from(message.subarray(found.value, found.end)).toString('utf8')
}

/**
 * An embedded message; absent is undefined. Occurrences of one field are merged by joining their
 * bytes, which is what the encoding defines.
 */
export function readMessage(message: Uint8Array, field: number): Uint8Array | undefined {
  const parts = occurrences(message, field)
  return parts.length === 0 ? undefined : Buffer.concat(parts)
}

/** The message with a field set to these bytes, in its place or, if it was absent, at the end. */
export function withBytes(message: Uint8Array, field: number, bytes: Uint8Array): Uint8Array {
  return withFields(message, field, [encodeField(field, bytes)])
}

export function withString(message: Uint8Array, field: number, text: string): Uint8Array {
  return withBytes(message, field, Buffer.from(text, 'utf8'))
}

export function without(message: Uint8Array, field: number): Uint8Array {
  return withFields(message, field, [])
}

/** All occurrences, in order. */
export function readStrings(message: Uint8Array, field: number): string[] {
  return occurrences(message, field).map((bytes) => Buffer.from(bytes).toString('utf8'))
}

/** The message with other occurrences of a repeated field, in the place of the first one. */
export function withStrings(
  message: Uint8Array,
  field: number,
  texts: readonly string[],
): Uint8Array {
  const encoded = texts.map((text) => encodeField(field, Buffer.from(text, 'utf8')))
  return withFields(message, field, encoded)
}

/** @returns the new bytes of a field; the same object: unchanged; undefined: the field is removed */
export type FieldEdit = (value: Uint8Array) => Uint8Array | undefined

/**
 * The message with every occurrence of some length-delimited fields edited. Unchanged fields keep their
 * bytes, including the encoding of their length.
 *
 * @returns the same object where nothing changed
 */
export function edited(
  message: Uint8Array,
  edits: Readonly<Record<number, FieldEdit>>,
): Uint8Array {
  const parts: Uint8Array[] = []
  let copied = 0
  for (const { number, type, start, value, end } of fields(message)) {
    const edit = type === LENGTH_DELIMITED ? edits[number] : undefined
    if (edit === undefined) continue
    const before = message.subarray(value, end)
    const after = edit(before)
    if (after === before) continue
    parts.push(message.subarray(copied, start))
    if (after !== undefined) parts.push(encodeField(number, after))
    copied = end
  }
  return copied === 0 ? message : Buffer.concat([...parts, message.subarray(copied)])
}

function occurrences(message: Uint8Array, field: number): Uint8Array[] {
  const found: Uint8Array[] = []
  for (const { number, type, value, end } of fields(message)) {
    if (number === field && type === LENGTH_DELIMITED) found.push(message.subarray(value, end))
  }
  return found
}

function* fields(message: Uint8Array): Generator<Field> {
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

function withFields(
  message: Uint8Array,
  field: number,
  encoded: readonly Uint8Array[],
): Uint8Array {
  const parts: Uint8Array[] = []
  let placed = false
  for (const { number, start, end } of fields(message)) {
    if (number !== field) parts.push(message.subarray(start, end))
    else if (!placed) {
      parts.push(...encoded)
      placed = true
    }
  }
  if (!placed) parts.push(...encoded)
  return Buffer.concat(parts)
}

function encodeField(field: number, bytes: Uint8Array): Uint8Array {
  const tag = encodeVarint(field * 8 + LENGTH_DELIMITED)
  return Buffer.concat([tag, encodeVarint(bytes.length), bytes])
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
