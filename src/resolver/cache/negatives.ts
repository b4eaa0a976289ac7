import { LRUCache } from 'lru-cache'
import { type Attempt, type ErrorCode, ResolveError } from '../../errors.ts'

interface Absence {
  readonly code: ErrorCode
  readonly message: string
  readonly attempts: readonly Attempt[]
  since: number
}

export interface NegativeCacheOptions {
  readonly size: number
  readonly ttlMs: number
  readonly onEvict: () => void
}

/** What no registry has, for seconds. Errors are kept without their stack and cause. */
export class NegativeCache {
  readonly #ttlMs: number
  readonly #absent: LRUCache<string, Absence>

  constructor({ size, ttlMs, onEvict }: NegativeCacheOptions) {
    this.#ttlMs = ttlMs
    this.#absent = new LRUCache<string, Absence>({
      max: size,
      dispose: (_absence, _key, reason) => {
        if (reason === 'evict') onEvict()
      },
    })
  }

  get size(): number {
    return this.#absent.size
  }

  /** @param maxAgeMs an older one is not given, and stays */
  get(
    key: string,
    now: number,
    maxAgeMs: number = Number.POSITIVE_INFINITY,
  ): ResolveError | undefined {
    const absence = this.#absent.get(key)
    if (absence === undefined) return undefined
    const ageMs = now - absence.since
    if (ageMs >= this.#ttlMs) {
      this.#absent.delete(key)
      return undefined
    }
    if (ageMs > maxAgeMs) return undefined
    const { code, message, attempts } = absence
    return new ResolveError(code, message, { attempts })
  }

  set(key: string, { code, message, attempts }: ResolveError, since: number): void {
    this.#absent.set(key, { code, message, attempts, since })
  }

  delete(key: string): void {
    this.#absent.delete(key)
  }

  /** @param isMeant by the key. @returns how many were dropped */
  drop(isMeant: (key: string) => boolean): number {
    const keys = [...this.#absent.keys()].filter(isMeant)
    for (const key of keys) this.#absent.delete(key)
    return keys.length
  }

  moveBack(ms: number): void {
    for (const absence of this.#absent.values()) absence.since -= ms
  }
}

/** Whether every registry was asked, and none has it. */
export function isAbsence({ code, attempts }: ResolveError): boolean {
  if (code !== 'MANIFEST_UNKNOWN' && code !== 'PLATFORM_UNKNOWN') return false
  return attempts.length > 0 && attempts.every(({ outcome }) => outcome === 'not_found')
}
