import type { Strategy } from './strategy.ts'

export interface BestPossibleOptions {
  readonly size: number
  readonly ttlMs: number
  /** By question, the next one for the same tag. */
  readonly nextUse: Float64Array
  readonly versionAt: (tag: number, nowMs: number) => number
}

/** The same TTL and the same HEAD as ours, with the replacement that knows the future. */
export function bestPossible(options: BestPossibleOptions): Strategy {
  const { nextUse, size, ttlMs, versionAt } = options
  const kept = new FarthestFirst(size)
  const learned = new Map<number, { readonly atMs: number; readonly version: number }>()
  return {
    ask(question, tag, now) {
      const known = learned.get(tag)
      const isFresh = known !== undefined && now < known.atMs + ttlMs
      const current = versionAt(tag, now)
      if (!isFresh) learned.set(tag, { atMs: now, version: current })
      const gone = kept.use(tag, nextUse[question] ?? Number.POSITIVE_INFINITY)
      if (gone !== undefined) learned.delete(gone)
      if (isFresh) return { outcome: 'answered', version: known.version }
      const isSame = known?.version === current
      return { outcome: isSame ? 'HEAD' : 'GET', version: current }
    },
  }
}

interface Kept {
  readonly tag: number
  readonly nextUse: number
}

/**
 * Belady's replacement: what is needed again last goes first. Nothing that does not know the future
 * can do better.
 */
class FarthestFirst {
  readonly #size: number
  readonly #nextUse = new Map<number, number>()
  /** A heap, the farthest on top; of a tag that was used since, an outdated entry may linger. */
  readonly #heap: Kept[] = []

  constructor(size: number) {
    this.#size = size
  }

  has(tag: number): boolean {
    return this.#nextUse.has(tag)
  }

  /** @returns the tag that had to go, which may be the very one that came */
  use(tag: number, nextUse: number): number | undefined {
    this.#nextUse.set(tag, nextUse)
    this.#push({ tag, nextUse })
    if (this.#nextUse.size <= this.#size) return undefined
    for (let top = this.#pop(); top !== undefined; top = this.#pop()) {
      if (this.#nextUse.get(top.tag) !== top.nextUse) continue
      this.#nextUse.delete(top.tag)
      return top.tag
    }
    return undefined
  }

  #push(kept: Kept): void {
    const heap = this.#heap
    let at = heap.length
    for (let up = (at - 1) >> 1; at > 0; up = (at - 1) >> 1) {
      const parent = heap[up]
      if (parent === undefined || parent.nextUse >= kept.nextUse) break
      heap[at] = parent
      at = up
    }
    heap[at] = kept
  }

  #pop(): Kept | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      const left = heap[at * 2 + 1]
      const right = heap[at * 2 + 2]
      const isRight = (right?.nextUse ?? -1) > (left?.nextUse ?? -1)
      const down = isRight ? right : left
      if (down === undefined || down.nextUse <= last.nextUse) break
      heap[at] = down
      at = at * 2 + (isRight ? 2 : 1)
    }
    heap[at] = last
    return top
  }
}
