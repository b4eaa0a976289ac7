import type { TableEntry } from './static-table.ts'

/** What SETTINGS_HEADER_TABLE_SIZE is when nobody sets it (RFC 9113, 6.5.2). */
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
