import { randomUUID } from 'node:crypto'
import type { Clock } from '../concurrency/clock.ts'
import type { ResolveError } from '../errors.ts'
import type { ImageIdentity } from '../registry/image.ts'
import { readLine } from '../resolver/cache/snapshot-lines.ts'
import type { SharedAnswer, SharedLookup, SharedQuestion } from '../resolver/sharing.ts'
import type { Resolution } from '../resolver/types.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import { Claim, type ClaimTools } from './claim.ts'
import { type Entry, type EntrySigner, parkName, readAbsence, readMilliseconds } from './entry.ts'
import { identityName, MAX_CANDIDATES, type Names, publish } from './publish.ts'
import { type Look, readLook } from './scripts.ts'
import type { Store } from './store.ts'

export interface LookupTools extends ClaimTools {
  readonly store: Pick<Store, 'script' | 'get' | 'set'>
  readonly signer: EntrySigner
  /** @returns undefined: it is not ours, which is counted */
  readonly open: (name: string, text: string) => Entry | undefined
  /** The store's clock now, or a little before. */
  readonly storeTime: () => number | undefined
  /** Told of the store's clock. @returns false: it went back, by which old answers would look young */
  readonly saw: (now: number) => boolean
  readonly metrics: Pick<SharedMetrics, 'claims' | 'lookups'>
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  /** 0 to 1; spreads those that wait. Default Math.random. */
  readonly random?: () => number
}

/** A claim whose owner died ends after this part of the wait of the others, so that one of them has the time to ask. */
const CLAIM_PART = 0.5
/** Between two looks at what another node is asking for. */
const FIRST_PAUSE_MS = 10
const MAX_PAUSE_MS = 200
const MAX_PARKED_MS = 3_600_000

/** One question to the store. */
export class Lookup {
  readonly #question: SharedQuestion
  readonly #names: Names
  readonly #tools: LookupTools
  /** Milliseconds that the store was waited for. */
  #spentMs = 0
  /** The oldest time that is accepted; undefined: by the age. */
  #oldest: number | undefined
  /** When registries were asked, at the earliest, by the store's clock. */
  #since: number | undefined
  #claim: Claim | undefined
  #known: SharedAnswer | undefined
  #parked: ReadonlyMap<string, number> = new Map()

  constructor(question: SharedQuestion, names: Names, tools: LookupTools) {
    this.#question = question
    this.#names = names
    this.#tools = tools
  }

  async run(): Promise<SharedLookup> {
    const { lookups } = this.#tools.metrics
    if (this.#question.maxAgeMs === undefined) {
      this.#since = this.#tools.storeTime()
      return this.#toAsk()
    }
    const found = await this.#find()
    if (found?.answer !== undefined) lookups.answer += 1
    else if (found?.absence !== undefined) lookups.absence += 1
    else if (this.#since === undefined) lookups.left_alone += 1
    else lookups.none += 1
    if (found !== undefined) return { ...this.#toAsk(), ...found }
    // Registries are asked now, but for those that told another node to wait.
    if (this.#since !== undefined) this.#parked = await this.#readParked(this.#since)
    return this.#toAsk()
  }

  /** @returns undefined: registries have to be asked */
  async #find(): Promise<Pick<SharedLookup, 'answer' | 'absence'> | undefined> {
    const { claims } = this.#tools.metrics
    const first = await this.#look()
    if (first === undefined) return undefined
    const found = this.#read(first)
    if (found !== undefined || (first.state !== 'fresh' && first.state !== 'wait')) return found
    if (first.state === 'fresh') {
      // What was there is not to be used.
      const second = await this.#look()
      if (second?.state !== 'wait') return second && this.#read(second)
    }
    claims.waited += 1
    const answer = await this.#wait()
    if (answer === undefined) claims.given_up += 1
    return answer
  }

  async #wait(): Promise<Pick<SharedLookup, 'answer' | 'absence'> | undefined> {
    const { clock, random = Math.random, steady } = this.#tools
    const { signal, waitMs } = this.#question
    const endMs = steady() + waitMs
    const beforeMs = this.#spentMs
    for (
      let pauseMs = FIRST_PAUSE_MS;
      !signal.aborted;
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)
    ) {
      const leftMs = endMs - steady()
      if (leftMs <= 0) return undefined
      await pause(Math.min(pauseMs * (0.5 + random()), leftMs), clock, signal)
      // The time between was the other node's, not the store's.
      this.#spentMs = beforeMs
      const looked = await this.#look()
      if (looked === undefined) return undefined
      if (looked.state === 'fresh') return this.#read(looked)
      if (looked.state !== 'wait') return undefined
    }
    return undefined
  }

  async #look(): Promise<Look | undefined> {
    const { metrics, store } = this.#tools
    const { maxAgeMs = 0, waitMs } = this.#question
    const { claim, entry, moved } = this.#names
    const id = randomUUID()
    const claimMs = Math.max(1, Math.round(waitMs * CLAIM_PART))
    const oldest = this.#oldest === undefined ? '' : String(this.#oldest)
    const args = [entry, claim, moved, id, String(claimMs), oldest, String(maxAgeMs)]
    const late = (reply: unknown): void => {
      const { state } = readLook(reply) ?? {}
      if (state === 'won') void store.script('release', [claim, id, '0'], this.#tools.budgetMs)
    }
    const leftMs = this.#tools.budgetMs - this.#spentMs
    const reply = await this.#timed(store.script('look', args, leftMs, late))
    const looked = readLook(reply)
    if (looked === undefined) return undefined
    if (!this.#tools.saw(looked.now)) {
      if (looked.state === 'won')
        void store.script('release', [claim, id, '0'], this.#tools.budgetMs)
      return undefined
    }
    this.#since = looked.now
    this.#oldest ??= looked.now - maxAgeMs
    if (looked.state !== 'fresh') this.#keepKnown(looked)
    if (looked.state === 'won') {
      metrics.claims.won += 1
      this.#claim = new Claim(claim, id, claimMs, this.#tools)
    }
    return looked
  }

  /** @returns undefined: it is not to be used; the next look accepts no such entry */
  #read({ now, state, text }: Look): Pick<SharedLookup, 'answer' | 'absence'> | undefined {
    if (state !== 'fresh') return undefined
    const entry = this.#tools.open(this.#names.entry, text)
    const ageMs = now - (entry?.since ?? 0)
    // The times in the entry that the store went by are signed.
    if (entry !== undefined && ageMs >= 0 && entry.since >= (this.#oldest ?? now)) {
      const answer = this.#answerIn(entry, ageMs)
      if (answer !== undefined) return { answer }
      const error = readAbsence(entry.body)
      if (error !== undefined && ageMs < this.#question.negativeTtlMs) {
        return { absence: { error, ageMs } }
      }
    }
    this.#oldest = (entry?.since ?? now) + 1
    return undefined
  }

  #keepKnown({ now, text }: Look): void {
    if (text === '' || this.#known !== undefined) return
    const entry = this.#tools.open(this.#names.entry, text)
    if (entry === undefined || entry.since > now) return
    this.#known = this.#answerIn(entry, now - entry.since)
  }

  #answerIn({ body }: Entry, ageMs: number): SharedAnswer | undefined {
    const { known, where } = readLine(body) ?? {}
    const { platform, reference } = this.#question
    if (known === undefined || where === undefined) return undefined
    if (known.asked !== platform || where.reference !== reference) return undefined
    const { references, registry } = where
    return { identity: known.identity, registry, references, ageMs }
  }

  #toAsk(): SharedLookup {
    return {
      ...(this.#known !== undefined && { known: this.#known }),
      parked: this.#parked,
      identity: (digest) => this.#identity(digest),
      tell: (outcome) => this.#tell(outcome),
    }
  }

  async #identity(digest: string): Promise<ImageIdentity | undefined> {
    const { budgetMs, open, signer, store } = this.#tools
    const { isPlatformAsked, platform } = this.#question
    if (this.#since === undefined) return undefined
    const name = identityName(signer, digest, platform)
    const text = await this.#timed(store.get(name, budgetMs - this.#spentMs))
    const entry = text ? open(name, text) : undefined
    const { known } = (entry && readLine(entry.body)) ?? {}
    if (known?.asked !== platform || known.identity.digest !== digest) return undefined
    return isPlatformAsked && known.identity.platform.assumed ? undefined : known.identity
  }

  async #readParked(now: number): Promise<ReadonlyMap<string, number>> {
    const { budgetMs, open, signer, store } = this.#tools
    const candidates = this.#question.candidates.slice(0, MAX_CANDIDATES)
    const limitMs = budgetMs - this.#spentMs
    const read = candidates.map(async (candidate) => {
      const name = parkName(signer, candidate)
      const text = await store.get(name, limitMs)
      const entry = text ? open(name, text) : undefined
      const until = entry === undefined ? now : entry.since + (readMilliseconds(entry.body) ?? 0)
      return [candidate.registry, Math.min(until - now, MAX_PARKED_MS)] as const
    })
    const left = await this.#timed(Promise.all(read))
    return new Map(left.filter(([, ms]) => ms > 0))
  }

  #tell(outcome: Resolution | ResolveError): void {
    const claim = this.#claim
    this.#claim = undefined
    publish(outcome, this.#question, this.#names, { ...this.#tools, claim, since: this.#since })
  }

  async #timed<T>(work: Promise<T>): Promise<T> {
    const startedMs = this.#tools.steady()
    const result = await work
    this.#spentMs += this.#tools.steady() - startedMs
    return result
  }
}

/** Resolves after so long, or when the signal ends. */
function pause(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, end)
    signal.addEventListener('abort', end, { once: true })
    function end(): void {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
  })
}
