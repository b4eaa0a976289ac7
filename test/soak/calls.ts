import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'

/** Longer than any call is allowed to take: its own deadline, and time for a busy machine. */
export const DEADLINE_MS = 30_000
const GRACE_MS = 10_000

/** How calls ended, and everything that must not be. */
export class CallBook {
  readonly problems: string[] = []
  readonly #rows = new Map<string, { count: number; longestMs: number }>()
  #open = 0

  get open(): number {
    return this.#open
  }

  /**
   * Makes a call and writes down how it ended.
   *
   * @param allowed codes that it may end with
   * @param make resolves with its code
   */
  async enter(
    method: string,
    allowed: readonly (string | number)[],
    make: () => Promise<string | number>,
  ): Promise<void> {
    const startedAt = performance.now()
    const limit = new AbortController()
    const late = sleep(DEADLINE_MS + GRACE_MS, 'no end' as const, limit).catch(() => '' as const)
    this.#open += 1
    let code: string | number
    try {
      code = await Promise.race([make(), late])
    } catch (error) {
      code = 'thrown'
      this.wrong(`${method}: ${String(error)}`)
    }
    limit.abort()
    this.#open -= 1
    if (!allowed.includes(code) && code !== 'thrown')
      this.wrong(`${method} ended with ${nameOf(code)}`)
    const key = `${method}\t${nameOf(code)}`
    const row = this.#rows.get(key) ?? { count: 0, longestMs: 0 }
    row.count += 1
    row.longestMs = Math.max(row.longestMs, performance.now() - startedAt)
    this.#rows.set(key, row)
  }

  wrong(problem: string): void {
    this.problems.push(problem)
  }

  /** How many calls of a method ended so. */
  count(method: string, code: string): number {
    return this.#rows.get(`${method}\t${code}`)?.count ?? 0
  }

  table(): (readonly (string | number)[])[] {
    const rows = [...this.#rows].map(([key, { count, longestMs }]) => [
      ...key.split('\t'),
      count,
      Math.round(longestMs),
    ])
    return [['method', 'code', 'calls', 'longest, ms'], ...rows.sort()]
  }
}

function nameOf(code: string | number): string {
  return String(typeof code === 'number' ? (status[code] ?? code) : code)
}
