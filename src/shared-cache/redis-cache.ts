import type { Clock } from '../concurrency/clock.ts'
import { parseNormalized } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImagePlace } from '../resolver/availability.ts'
import type { ChangedTag } from '../resolver/changed-tags.ts'
import type { SharedCache, SharedQuestion, SharedReply } from '../resolver/shared-cache.ts'
import type { Candidate } from '../resolver/types.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { ChangedMarks } from './changed-marks.ts'
import type { Claim, Names } from './claim.ts'
import { accountOf, type Entry, type EntrySigner, parkName } from './entry.ts'
import type { RedisClient } from './redis-client.ts'
import { type LookupTools, MAX_PARKED_MS, RedisLookup } from './redis-lookup.ts'
import { type CheckQuestion, checkOnce, type Known } from './shared-check.ts'

export interface RedisCacheOptions {
  readonly client: Pick<RedisClient, 'script' | 'get' | 'set' | 'delete'>
  readonly signer: EntrySigner
  /** What of the configuration beside the candidates decides an answer. */
  readonly scope: () => string
  readonly freshnessMs: number
  /** How long one lookup waits for the store, all commands together. */
  readonly budgetMs: number
  /** How far the store's clock may be behind that of this node; undefined: it is not compared, since nothing on the way can change it. */
  readonly maxBehindMs?: number | undefined
  readonly metrics: Pick<SharedMetrics, 'lookups' | 'claims' | 'signatureFailures'>
  readonly clock: Clock
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  readonly logger: Pick<Logger, 'warn'>
  /** 0 to 1; spreads those that wait. Default Math.random. */
  readonly random?: () => number
}

/** How far the clocks of the machines of one store may be apart. */
const MAX_BACK_MS = 2_000
/** Entries and what a script reads with them stand together on one node of a cluster. */
const SLOT = 'answers'

/** What nodes of a fleet tell each other, in one Valkey or Redis. */
export class RedisCache implements SharedCache {
  readonly #options: RedisCacheOptions
  readonly #claims = new Set<Claim>()
  readonly #changes: ChangedMarks
  #hasWarned = false
  #isDisbelieved = false
  /** The store's clock at a time of ours: it is at least so late. */
  #seen: { readonly store: number; readonly steady: number } | undefined

  constructor(options: RedisCacheOptions) {
    this.#options = options
    this.#changes = new ChangedMarks(options)
  }

  get freshnessMs(): number {
    return this.#options.freshnessMs
  }

  async lookup(question: SharedQuestion): Promise<SharedReply> {
    return new RedisLookup(question, this.#namesOf(question), this.#tools()).run()
  }

  /** As checkOnce. */
  check(
    question: CheckQuestion,
    ask: (known: Known) => Promise<readonly ImagePlace[]>,
  ): Promise<readonly ImagePlace[]> {
    const names = this.#namesOf({ ...question, isPlatformAsked: false, platform: 'any' })
    return checkOnce(question, names, this.#tools(), ask)
  }

  park(candidate: Candidate, credentials: Credentials | undefined, waitMs: number): void {
    const { budgetMs, client, signer } = this.#options
    const since = this.#storeTime()
    const ms = Math.min(waitMs, MAX_PARKED_MS)
    if (since === undefined || !(ms > 0)) return
    const name = parkName(signer, candidate, credentials)
    const entry = signer.sign(name, since, JSON.stringify({ ms }))
    if (entry !== undefined) void client.set(name, entry, Math.ceil(ms), budgetMs)
  }

  /**
   * Has shared answers for these tags expire, whatever the host that a registry was pushed to: one more reference that is
   * asked for costs little.
   *
   * @returns whether they have expired for all nodes; false: they will, if this process lives on, and the call is to be repeated
   */
  expire(changes: readonly Pick<ChangedTag, 'repository' | 'tag'>[]): Promise<boolean> {
    return this.#changes.tell(changes.map(({ repository, tag }) => this.#mark(repository, tag)))
  }

  /** To be called when the store is connected. */
  connected(): void {
    this.#changes.repeat()
  }

  /** Gives all claims back. */
  async close(): Promise<void> {
    this.#changes.close()
    await Promise.all([...this.#claims].map((claim) => claim.release(0)))
  }

  #namesOf(
    question: Omit<SharedQuestion, 'maxAgeMs' | 'negativeTtlMs' | 'keptMs' | 'waitMs'>,
  ): Names {
    const { scope, signer } = this.#options
    const { candidates, credentials, isPlatformAsked, platform, reference } = question
    const { digest, tag } = parseNormalized(reference)
    const asked = JSON.stringify([candidates, credentials.map(accountOf)])
    const about = [reference, platform, String(isPlatformAsked), asked, scope()]
    // Registries say in which repository a tag changed, which is not how a reference spells it.
    const places = digest === undefined ? candidates.map(({ repository }) => repository) : []
    const marks = places.flatMap((place) => [this.#mark(place, undefined), this.#mark(place, tag)])
    return {
      entry: signer.name('answer', SLOT, ...about),
      claim: signer.name('claim', SLOT, ...about),
      marks: [...new Set(marks)],
    }
  }

  /** @param tag undefined: any of that repository */
  #mark(repository: string, tag: string | undefined): string {
    return this.#options.signer.name('mark', SLOT, repository, ...(tag === undefined ? [] : [tag]))
  }

  #tools(): LookupTools {
    return {
      ...this.#options,
      open: (name, text) => this.#open(name, text),
      saw: (store) => this.#saw(store),
      claims: this.#claims,
    }
  }

  /** After a failover it may be the clock of another machine, which differs a little. */
  #saw(store: number): boolean {
    const { clock, logger, maxBehindMs = Number.POSITIVE_INFINITY, steady } = this.#options
    const expected = this.#storeTime() ?? store
    const backMs = expected - store
    const behindMs = clock.now() - store
    const isBack = backMs > MAX_BACK_MS
    const isBelieved = !isBack && behindMs <= maxBehindMs
    if (!isBelieved && !this.#isDisbelieved) {
      const seconds = Math.round((isBack ? backMs : behindMs) / 1_000)
      const [what, next] = isBack
        ? [
            'the clock of the shared store went back',
            'it is not used until its clock has caught up',
          ]
        : [
            'the clock of the shared store is behind that of this node',
            'it is not used: set the clocks, or write rediss://',
          ]
      logger.warn({ seconds, next }, what)
    }
    this.#isDisbelieved = !isBelieved
    if (isBelieved) this.#seen = { store, steady: steady() }
    return isBelieved
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
