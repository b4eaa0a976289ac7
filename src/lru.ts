/**
 * How many entries an LRUCache may have. By `max` it would take the memory of all of them at once: of 8,192 half a MiB, and a
 * millisecond of every start.
 */
export function upTo(entries: number) {
  return { maxSize: entries, sizeCalculation: () => 1 } as const
}
