/** Header fields in order, names and values alternating; each string is bytes as latin1. */
export interface HeaderList {
  readonly fields: readonly string[]
  /** Names that must never be indexed on the next hop either (RFC 7541, 6.2.3); absent: none. */
  readonly sensitive?: ReadonlySet<string> | undefined
}

/** The first value of a name, or undefined. */
export function headerValue(list: HeaderList, name: string): string | undefined {
  const { fields } = list
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === name) return fields[i + 1]
  }
  return undefined
}

/** Forbidden in HTTP/2 (RFC 9113, section 8.2.2). */
const CONNECTION_HEADERS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
/** A bit for each, to tell which were there. */
const REQUEST_PSEUDO_HEADERS = new Map([
  [':method', 1],
  [':scheme', 2],
  [':path', 4],
  [':authority', 8],
  [':protocol', 16],
])
const NEEDED = 1 | 2 | 4
const UPPER_CASE = /[A-Z]/
const FORBIDDEN_IN_VALUES = /[\0\r\n]/

/** Whether the headers of a request are well-formed (RFC 9113, section 8.1.1), as far as a relay depends on it. */
export function isRequest({ fields }: HeaderList): boolean {
  let seen = 0
  let isPseudo = true
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name.startsWith(':')) {
      const bit = REQUEST_PSEUDO_HEADERS.get(name) ?? 0
      if (!isPseudo || bit === 0 || (seen & bit) !== 0) return false
      if (name === ':path' && value === '') return false
      seen |= bit
    } else {
      isPseudo = false
      if (!isPlain(name, value)) return false
    }
    if (FORBIDDEN_IN_VALUES.test(value)) return false
  }
  return (seen & NEEDED) === NEEDED
}

/** Whether the fields can be trailers, which have no pseudo-headers. */
export function isTrailers({ fields }: HeaderList): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name.startsWith(':') || !isPlain(name, value) || FORBIDDEN_IN_VALUES.test(value))
      return false
  }
  return true
}

function isPlain(name: string, value: string): boolean {
  if (name === '' || UPPER_CASE.test(name) || CONNECTION_HEADERS.has(name)) return false
  return name !== 'te' || value === 'trailers'
}
