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
const REQUEST_PSEUDO_HEADERS = new Set([':method', ':scheme', ':path', ':authority', ':protocol'])
const NEEDED = 3
const UPPER_CASE = /[A-Z]/
const FORBIDDEN_IN_VALUES = /[\0\r\n]/

/** Whether the headers of a request are well-formed (RFC 9113, section 8.1.1), as far as a relay depends on it. */
export function isRequest({ fields }: HeaderList): boolean {
  const seen = new Set<string>()
  let needed = NEEDED
  let isPseudo = true
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name.startsWith(':')) {
      if (!isPseudo || !REQUEST_PSEUDO_HEADERS.has(name) || seen.has(name)) return false
      seen.add(name)
      if (name === ':method' || name === ':scheme' || (name === ':path' && value !== ''))
        needed -= 1
    } else {
      isPseudo = false
      if (!isPlain(name, value)) return false
    }
    if (FORBIDDEN_IN_VALUES.test(value)) return false
  }
  return needed === 0
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
