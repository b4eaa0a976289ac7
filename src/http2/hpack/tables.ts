/** An entry of the static or the dynamic table; both strings are bytes as latin1. */
export interface TableEntry {
  readonly name: string
  readonly value: string
}

/** Field n of RFC 7541, appendix A is at n - 1. */
export const STATIC_TABLE: readonly TableEntry[] = [
  { name: ':authority', value: '' },
  { name: ':method', value: 'GET' },
  { name: ':method', value: 'POST' },
  { name: ':path', value: '/' },
  { name: ':path', value: '/index.html' },
  { name: ':scheme', value: 'http' },
  { name: ':scheme', value: 'https' },
  { name: ':status', value: '200' },
  { name: ':status', value: '204' },
  { name: ':status', value: '206' },
  { name: ':status', value: '304' },
  { name: ':status', value: '400' },
  { name: ':status', value: '404' },
  { name: ':status', value: '500' },
  { name: 'accept-charset', value: '' },
  { name: 'accept-encoding', value: 'gzip, deflate' },
  { name: 'accept-language', value: '' },
  { name: 'accept-ranges', value: '' },
  { name: 'accept', value: '' },
  { name: 'access-control-allow-origin', value: '' },
  { name: 'age', value: '' },
  { name: 'allow', value: '' },
  { name: 'authorization', value: '' },
  { name: 'cache-control', value: '' },
  { name: 'content-disposition', value: '' },
  { name: 'content-encoding', value: '' },
  { name: 'content-language', value: '' },
  { name: 'content-length', value: '' },
  { name: 'content-location', value: '' },
  { name: 'content-range', value: '' },
  { name: 'content-type', value: '' },
  { name: 'cookie', value: '' },
  { name: 'date', value: '' },
  { name: 'etag', value: '' },
  { name: 'expect', value: '' },
  { name: 'expires', value: '' },
  { name: 'from', value: '' },
  { name: 'host', value: '' },
  { name: 'if-match', value: '' },
  { name: 'if-modified-since', value: '' },
  { name: 'if-none-match', value: '' },
  { name: 'if-range', value: '' },
  { name: 'if-unmodified-since', value: '' },
  { name: 'last-modified', value: '' },
  { name: 'link', value: '' },
  { name: 'location', value: '' },
  { name: 'max-forwards', value: '' },
  { name: 'proxy-authenticate', value: '' },
  { name: 'proxy-authorization', value: '' },
  { name: 'range', value: '' },
  { name: 'referer', value: '' },
  { name: 'refresh', value: '' },
  { name: 'retry-after', value: '' },
  { name: 'server', value: '' },
  { name: 'set-cookie', value: '' },
  { name: 'strict-transport-security', value: '' },
  { name: 'transfer-encoding', value: '' },
  { name: 'user-agent', value: '' },
  { name: 'vary', value: '' },
  { name: 'via', value: '' },
  { name: 'www-authenticate', value: '' },
]

/** The default of SETTINGS_HEADER_TABLE_SIZE (RFC 9113, 6.5.2). */
export const TABLE_LIMIT_BYTES = 4_096
/** What an entry counts beside its name and value (RFC 7541, 4.1). */
export const FIELD_OVERHEAD_BYTES = 32

/** No more entries than these fit, so a ring of them never overtakes itself. */
const SLOTS = TABLE_LIMIT_BYTES / FIELD_OVERHEAD_BYTES

/** The fields that a peer has asked to be remembered, the newest first (RFC 7541, 2.3.2). */
export class DynamicTable {
  readonly #ring = new Array<TableEntry | undefined>(SLOTS).fill(undefined)
  #newest = 0
  #count = 0
  #bytes = 0
  #maxBytes = TABLE_LIMIT_BYTES

  /** @param index 0 is the entry added last. Undefined where there is none. */
  at(index: number): TableEntry | undefined {
    return index >= 0 && index < this.#count
      ? this.#ring[(this.#newest - index) & (SLOTS - 1)]
      : undefined
  }

  /** Makes room by dropping the oldest. An entry that can never fit leaves the table empty (4.4). */
  add(entry: TableEntry): void {
    const bytes = bytesOf(entry)
    this.#shrinkTo(this.#maxBytes - bytes)
    if (bytes > this.#maxBytes) return
    this.#newest = (this.#newest + 1) & (SLOTS - 1)
    this.#ring[this.#newest] = entry
    this.#count += 1
    this.#bytes += bytes
  }

  /** @param maxBytes at most TABLE_LIMIT_BYTES. */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes
    this.#shrinkTo(maxBytes)
  }

  #shrinkTo(bytes: number): void {
    while (this.#bytes > bytes && this.#count > 0) {
      this.#count -= 1
      const oldest = (this.#newest - this.#count) & (SLOTS - 1)
      const entry = this.#ring[oldest]
      if (entry !== undefined) this.#bytes -= bytesOf(entry)
      this.#ring[oldest] = undefined
    }
  }
}

function bytesOf(entry: TableEntry): number {
  return entry.name.length + entry.value.length + FIELD_OVERHEAD_BYTES
}
