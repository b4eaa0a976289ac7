/**
 * Reads and replaces single fields of a protobuf message and keeps every other byte. Decoding and
 * encoding a message would drop the fields of newer kubelets that are unknown here.
 * https://protobuf.dev/programming-guides/encoding/
 */

import { encodeField, type FieldPlace, fields, LENGTH_DELIMITED } from '../runtime/protobuf.ts'

/** The last occurrence wins, as for every scalar in protobuf; absent is ''. */
export function readString(message: Uint8Array, field: number): string {
  let found: FieldPlace | undefined
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
