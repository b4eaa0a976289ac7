/** Header fields in order, as received: names and values in turns; each string is bytes as latin1. */
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

/** Of one connection alone (RFC 9113, section 8.2.2). */
const OF_A_CONNECTION = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
const OF_REQUESTS = new Set([':method', ':scheme', ':path', ':authority', ':protocol'])
const NEEDED = 3
const UPPER_CASE = /[A-Z]/
const IN_NO_VALUE = /[\0\r\n]/

/**
 * Whether a request's headers are well-formed (RFC 9113, section 8.1.1), as far as it matters to who
 * passes them on.
 */
export function isRequest({ fields }: HeaderList): boolean {
  const seen = new Set<string>()
  let needed = NEEDED
  let isPseudo = true
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name.startsWith(':')) {
      if (!isPseudo || !OF_REQUESTS.has(name) || seen.has(name)) return false
      seen.add(name)
      if (name === ':method' || name === ':scheme' || (name === ':path' && value !== ''))
        needed -= 1
    } else {
      isPseudo = false
      if (!isPlain(name, value)) return false
    }
    if (IN_NO_VALUE.test(value)) return false
  }
  return needed === 0
}

/** Whether they can be trailers: fields that describe no message. */
export function isTrailers({ fields }: HeaderList): boolean {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? ''
    const value = fields[index + 1] ?? ''
    if (name.startsWith(':') || !isPlain(name, value) || IN_NO_VALUE.test(value)) return false
  }
  return true
}

function isPlain(name: string, value: string): boolean {
  if (name === '' || UPPER_CASE.test(name) || OF_A_CONNECTION.has(name)) return false
  return name !== 'te' || value === 'trailers'
}
