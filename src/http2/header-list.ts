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
