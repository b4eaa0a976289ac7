import { BoundedMap } from './bounded-map.ts'

/** So many repositories failed in a row: it is not about one of them. */
const ENOUGH = 3
const MAX_REGISTRIES = 1_000

/**
 * Registries that failed for something, and have not answered for anything since. That may be one
 * broken image, which says nothing of the others; so they are counted by repository.
 */
export class Doubts {
  readonly #doubted = new BoundedMap<ReadonlySet<string>>(MAX_REGISTRIES)

  has(registry: string): boolean {
    return this.#doubted.get(registry) !== undefined
  }

  /** Repositories in a row, at most as many as are enough. */
  count(registry: string): number {
    return this.#doubted.get(registry)?.size ?? 0
  }

  /** @returns whether that is enough to doubt it for everything */
  add(registry: string, repository: string): boolean {
    const known = this.#doubted.get(registry) ?? new Set()
    const all = known.size < ENOUGH ? new Set([...known, repository]) : known
    this.#doubted.set(registry, all)
    return all.size >= ENOUGH
  }

  clear(registry: string): void {
    this.#doubted.delete(registry)
  }
}
