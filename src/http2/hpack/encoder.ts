import type { HeaderList } from '../headers.ts'
import { STATIC_TABLE } from './tables.ts'

/** The beginnings of fields with a name of the static table; strings are bytes as latin1. */
interface KnownName {
  readonly withoutIndexing: string
  readonly neverIndexed: string
  /** The whole field, for the values that the table has too. */
  readonly byValue: ReadonlyMap<string, string>
}

/** The first bits of each form (RFC 7541, section 6). */
const INDEXED = 0x80
const WITHOUT_INDEXING = 0x00
const NEVER_INDEXED = 0x10

const NEW_NAME = literals(0)
const KNOWN_NAMES = knownNames()

/**
 * A header block of the fields (RFC 7541, section 6). It makes no use of the dynamic table, so that
 * nothing depends on what was sent before: a field is an index where the static table has its name
 * and value, else a literal, and a literal never to be indexed where its name is sensitive. No
 * Huffman code either: on a unix socket it would cost more time than the bytes are worth.
 */
export function encodeHeaders(list: HeaderList): Buffer {
  const { fields, sensitive } = list
  // Joining strings, to be written in one go, measured faster than writing them one by one.
  let block = ''
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    const value = fields[i + 1] ?? ''
    const known = KNOWN_NAMES.get(name)
    const isSensitive = sensitive?.has(name) === true
    const whole = isSensitive ? undefined : known?.byValue.get(value)
    if (whole !== undefined) {
      block += whole
      continue
    }
    const { neverIndexed, withoutIndexing } = known ?? NEW_NAME
    block += isSensitive ? neverIndexed : withoutIndexing
    if (known === undefined) block += lengthOf(name) + name
    block += lengthOf(value) + value
  }
  return Buffer.from(block, 'latin1')
}

function lengthOf(text: string): string {
  return integer(0x00, 7, text.length)
}

/** An integer (RFC 7541, 5.1) in the last `prefixBits` of a byte that begins with `pattern`. */
function integer(pattern: number, prefixBits: number, value: number): string {
  const most = (1 << prefixBits) - 1
  if (value < most) return String.fromCharCode(pattern | value)
  let bytes = String.fromCharCode(pattern | most)
  let rest = value - most
  for (; rest >= 0x80; rest >>= 7) bytes += String.fromCharCode((rest & 0x7f) | 0x80)
  return bytes + String.fromCharCode(rest)
}

function knownNames(): ReadonlyMap<string, KnownName> {
  const names = new Map<string, KnownName & { readonly byValue: Map<string, string> }>()
  for (const [at, { name, value }] of STATIC_TABLE.entries()) {
    const index = at + 1
    const known = names.get(name) ?? { ...literals(index), byValue: new Map() }
    known.byValue.set(value, integer(INDEXED, 7, index))
    names.set(name, known)
  }
  return names
}

/** @param index of the name in the static table; 0: the name follows as a string. */
function literals(index: number): Omit<KnownName, 'byValue'> {
  return {
    withoutIndexing: integer(WITHOUT_INDEXING, 4, index),
    neverIndexed: integer(NEVER_INDEXED, 4, index),
  }
}
