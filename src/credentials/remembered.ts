import { LRUCache } from 'lru-cache'

/** Answers that are kept for a while, and made once for all who want one at the same time. */
export class Remembered<T> {
  readonly #now: () => number
  readonly #kept: LRUCache<string, { readonly value: T; readonly until: number }>
  readonly #making = new Map<string, Promise<T>>()

  constructor(now: () => number, limit: number) {
    this.#now = now
    this.#kept = new LRUCache({ max: limit })
  }

  find(key: string): { readonly value: T } | undefined {
    const found = this.#kept.get(key)
    return found !== undefined && this.#now() < found.until ? found : undefined
  }

  keep(key: string, value: T, ms: number): void {
    if (ms > 0) this.#kept.set(key, { value, until: this.#now() + ms })
  }

  /** What is being made for this key, or what `make` makes; it keeps that itself. */
  share(key: string, make: () => Promise<T>): Promise<T> {
    const making = this.#making.get(key)
    if (making !== undefined) return making
    const made = make().finally(() => this.#making.delete(key))
    this.#making.set(key, made)
    return made
  }
}
