import type { Clock } from '../concurrency/clock.ts'
import type { ChangedTag } from '../resolver/changed-tags.ts'
import type { SharedCache, SharedLookup, SharedQuestion } from '../resolver/sharing.ts'
import type { Candidate } from '../resolver/types.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Claim } from './claim.ts'
import { type Entry, type EntrySigner, parkName } from './entry.ts'
import { Lookup, type LookupTools } from './lookup.ts'
import type { Names } from './publish.ts'
import type { Store } from './store.ts'

export interface StoreCacheOptions {
  readonly store: Pick<Store, 'script' | 'get' | 'set'>
  readonly signer: EntrySigner
  /** What of the configuration beside the candidates decides an answer. */
  readonly scope: () => string
  readonly freshnessMs: number
  /** How long one lookup waits for the store, all commands together. */
  readonly budgetMs: number
  readonly metrics: Pick<SharedMetrics, 'lookups' | 'claims' | 'signatureFailures'>
  readonly clock: Clock
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  readonly logger: Pick<Logger, 'warn'>
  /** 0 to 1; spreads those that wait. Default Math.random. */
  readonly random?: () => number
}

/** Longer than any entry is kept. */
const MOVED_MS = 90_000_000
const MAX_PARKED_MS = 3_600_000
/** How far the clocks of the machines of one store may be apart. */
const MAX_BACK_MS = 2_000

/** What nodes of a fleet tell each other, in one store. */
export class StoreCache implements SharedCache {
  readonly #options: StoreCacheOptions
  readonly #claims = new Set<Claim>()
  #hasWarned = false
  #isBack = false
  /** The store's clock at a time of ours: it is at least so late. */
  #seen: { readonly store: number; readonly steady: number } | undefined

  constructor(options: StoreCacheOptions) {
    this.#options = options
  }

  get freshnessMs(): number {
    return this.#options.freshnessMs
  }

  async lookup(question: SharedQuestion): Promise<SharedLookup> {
    return new Lookup(question, this.#namesOf(question), this.#tools()).run()
  }

  park(candidate: Candidate, waitMs: number): void {
    const { budgetMs, signer, store } = this.#options
    const since = this.#storeTime()
    const ms = Math.min(waitMs, MAX_PARKED_MS)
    if (since === undefined || !(ms > 0)) return
    const name = parkName(signer, candidate)
    const entry = signer.sign(name, since, JSON.stringify({ ms }))
    if (entry !== undefined) void store.set(name, entry, Math.ceil(ms), budgetMs)
  }

  /** Which host a registry was pushed to counts for nothing: one more reference that is asked for costs little. */
  async expire(changes: readonly Pick<ChangedTag, 'repository' | 'tag'>[]): Promise<void> {
    const { budgetMs, signer, store } = this.#options
    for (const { repository, tag } of changes) {
      const name = signer.name('places', repository)
      const noted = await store.script('noted', [name], budgetMs)
      const references = Array.isArray(noted)
        ? noted.filter((each) => typeof each === 'string')
        : []
      const changed = references.filter((each) => tag === undefined || each.endsWith(`:${tag}`))
      const moves = changed.map((reference) =>
        store.script('move', [signer.name('moved', reference), String(MOVED_MS)], budgetMs),
      )
      await Promise.all(moves)
    }
  }

  /** Gives all claims back. */
  async close(): Promise<void> {
    await Promise.all([...this.#claims].map((claim) => claim.release(0)))
  }

  #namesOf({ accounts, candidates, isPlatformAsked, platform, reference }: SharedQuestion): Names {
    const { scope, signer } = this.#options
    const asked = JSON.stringify([candidates, accounts])
    const about = [platform, String(isPlatformAsked), asked, scope()]
    return {
      entry: signer.name('answer', reference, ...about),
      claim: signer.name('claim', reference, ...about),
      moved: signer.name('moved', reference),
    }
  }

  #tools(): LookupTools {
    return {
      ...this.#options,
      open: (name, text) => this.#open(name, text),
      storeTime: () => this.#storeTime(),
      saw: (store) => this.#saw(store),
      claims: this.#claims,
    }
  }

  /** After a failover it may be the clock of another machine, which differs a little. */
  #saw(store: number): boolean {
    const expected = this.#storeTime() ?? store
    const isBack = store < expected - MAX_BACK_MS
    if (isBack && !this.#isBack) {
      const next = 'it is not used until its clock has caught up'
      const seconds = Math.round((expected - store) / 1_000)
      this.#options.logger.warn({ seconds, next }, 'the clock of the shared store went back')
    }
    this.#isBack = isBack
    if (!isBack) this.#seen = { store, steady: this.#options.steady() }
    return !isBack
  }

  /** The store's clock now, or a little before. */
  #storeTime(): number | undefined {
    const seen = this.#seen
    return seen && Math.floor(seen.store + this.#options.steady() - seen.steady)
  }

  #open(name: string, text: string): Entry | undefined {
    const { logger, metrics, signer } = this.#options
    const entry = signer.open(name, text)
    if (entry !== undefined) return entry
    metrics.signatureFailures += 1
    if (!this.#hasWarned) {
      const what = 'an entry of the shared store is not signed with our key, and was passed over'
      logger.warn({ entry: name, next: 'further ones are counted, not logged' }, what)
    }
    this.#hasWarned = true
    return undefined
  }
}
