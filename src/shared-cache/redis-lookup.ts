import { randomUUID } from 'node:crypto'
import { pause } from '../concurrency/clock.ts'
import { ResolveError } from '../errors.ts'
import type { ImageIdentity } from '../registry/image.ts'
import { answerLine, identityLine, readLine } from '../resolver/cache/snapshot-lines.ts'
import type { SharedAnswer, SharedQuestion, SharedReply } from '../resolver/shared-cache.ts'
import type { Resolution } from '../resolver/types.ts'
import { isAbsence } from '../resolver/unresolved-error.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import { Claim, type ClaimTools, lookAt, type Names } from './claim.ts'
import {
  absenceBody,
  type Entry,
  type EntrySigner,
  parkName,
  readAbsence,
  readMilliseconds,
} from './entry.ts'
import type { RedisClient } from './redis-client.ts'
import type { Look } from './scripts.ts'

export interface LookupTools extends ClaimTools {
  readonly client: Pick<RedisClient, 'script' | 'get' | 'set'>
  readonly signer: EntrySigner
  /** @returns undefined: it is not ours, which is counted */
  readonly open: (name: string, text: string) => Entry | undefined
  readonly metrics: Pick<SharedMetrics, 'claims' | 'lookups'>
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  /** 0 to 1; spreads those that wait. Default Math.random. */
  readonly random?: () => number
}

/** The claim of a dead node ends after this part of the wait of the others, so that one of them has the time to ask. */
const CLAIM_PART = 0.5
/** Between two looks at what another node is asking for. */
const FIRST_PAUSE_MS = 10
const MAX_PAUSE_MS = 200
export const MAX_PARKED_MS = 3_600_000
/** Of the candidates of one question these are looked up for a pause. */
const MAX_CANDIDATES = 8
/** For how long the others are told that a node got no answer that can be shared. */
const FAILED_MS = 1_000
/** How long an entry is kept, at most; what a digest is does not change. */
const MAX_KEPT_MS = 86_400_000

/** One question to the store. */
export class RedisLookup {
  readonly #question: SharedQuestion
  readonly #names: Names
  readonly #tools: LookupTools
  /** Milliseconds that the store was waited for. */
  #spentMs = 0
  /** The oldest time that is accepted; undefined: by the age. */
  #oldest: number | undefined
  /** The time and the marks before registries are asked; undefined: nothing can be told. */
  #asked: Pick<Look, 'now' | 'epoch'> | undefined
  #claim: Claim | undefined
  #known: SharedAnswer | undefined
  #parked: ReadonlyMap<string, number> = new Map()

  constructor(question: SharedQuestion, names: Names, tools: LookupTools) {
    this.#question = question
    this.#names = names
    this.#tools = tools
  }

  async run(): Promise<SharedReply> {
    const { lookups } = this.#tools.metrics
    const found = await this.#find()
    if (this.#question.maxAgeMs !== undefined) {
      if (found?.answer !== undefined) lookups.answer += 1
      else if (found?.absence !== undefined) lookups.absence += 1
      else if (this.#asked === undefined) lookups.left_alone += 1
      else lookups.none += 1
    }
    if (found !== undefined) return { ...this.#reply(), ...found }
    // Registries are asked now, but for those that told another node to wait.
    if (this.#asked !== undefined) this.#parked = await this.#readParked(this.#asked.now)
    return this.#reply()
  }

  /** @returns undefined: registries have to be asked */
  async #find(): Promise<Pick<SharedReply, 'answer' | 'absence'> | undefined> {
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

  async #wait(): Promise<Pick<SharedReply, 'answer' | 'absence'> | undefined> {
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
    const { budgetMs, metrics } = this.#tools
    const { maxAgeMs, waitMs } = this.#question
    const id = randomUUID()
    const claimMs = maxAgeMs === undefined ? 0 : Math.max(1, Math.round(waitMs * CLAIM_PART))
    const limitMs = budgetMs - this.#spentMs
    const wanted = { id, claimMs, oldest: this.#oldest, maxAgeMs: maxAgeMs ?? 0, limitMs }
    const looked = await this.#timed(lookAt(this.#names, this.#tools, wanted))
    if (looked === undefined) return undefined
    const { epoch, now, state } = looked
    this.#asked = { now, epoch }
    this.#oldest ??= now - (maxAgeMs ?? 0)
    if (state !== 'fresh') this.#keepKnown(looked)
    if (state === 'won') {
      metrics.claims.won += 1
      this.#claim = new Claim(this.#names.claim, id, claimMs, this.#tools)
    }
    return looked
  }

  /** @returns undefined: it is not to be used; the next look accepts no such entry */
  #read({ now, state, text }: Look): Pick<SharedReply, 'answer' | 'absence'> | undefined {
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

  #reply(): SharedReply {
    return {
      ...(this.#known !== undefined && { known: this.#known }),
      parked: this.#parked,
      identity: (digest) => this.#identity(digest),
      tell: (outcome) => this.#tell(outcome),
    }
  }

  async #identity(digest: string): Promise<ImageIdentity | undefined> {
    const { budgetMs, client, open, signer } = this.#tools
    const { isPlatformAsked, platform } = this.#question
    if (this.#asked === undefined) return undefined
    const name = signer.name('image', digest, platform)
    const text = await this.#timed(client.get(name, budgetMs - this.#spentMs))
    const entry = text ? open(name, text) : undefined
    const { known } = (entry && readLine(entry.body)) ?? {}
    if (known?.asked !== platform || known.identity.digest !== digest) return undefined
    return isPlatformAsked && known.identity.platform.assumed ? undefined : known.identity
  }

  async #readParked(now: number): Promise<ReadonlyMap<string, number>> {
    const { budgetMs, client, open, signer } = this.#tools
    const { candidates, credentials } = this.#question
    const limitMs = budgetMs - this.#spentMs
    const read = candidates.slice(0, MAX_CANDIDATES).map(async (candidate, index) => {
      const name = parkName(signer, candidate, credentials[index])
      const text = await client.get(name, limitMs)
      const entry = text ? open(name, text) : undefined
      const until = entry === undefined ? now : entry.since + (readMilliseconds(entry.body) ?? 0)
      return [candidate.registry, Math.min(until - now, MAX_PARKED_MS)] as const
    })
    const left = await this.#timed(Promise.all(read))
    return new Map(left.filter(([, ms]) => ms > 0))
  }

  /** Tells the other nodes what registries said, and gives the claim back. It is not waited for. */
  #tell(outcome: Resolution | ResolveError): void {
    const { budgetMs, client, signer } = this.#tools
    const { platform } = this.#question
    const { claim, entry: name } = this.#names
    const asked = this.#asked
    const own = this.#claim
    this.#claim = undefined
    const isError = outcome instanceof ResolveError
    const body = this.#bodyOf(outcome)
    const entry = asked && body && signer.sign(name, asked.now, body, asked.epoch)
    if (!asked || !entry) {
      const isLeft = isError && outcome.code === 'CANCELED'
      void own?.release(isLeft ? 0 : FAILED_MS)
      return
    }
    own?.end()
    const keepMs = String(Math.ceil(this.#keepMs(isError)))
    const args = [name, claim, entry, String(asked.now), keepMs, own?.id ?? '']
    void client.script('publish', args, budgetMs)
    if (isError) return
    const { digest, imageId, manifestDigest, mediaType, platform: found, size } = outcome
    const identity = { digest, imageId, manifestDigest, mediaType, platform: found, size }
    const line = identityLine({ asked: platform, identity })
    const image = signer.name('image', digest, platform)
    const text = line && signer.sign(image, asked.now, line)
    if (text) void client.set(image, text, MAX_KEPT_MS, budgetMs)
  }

  /** @returns undefined: it is not shared */
  #bodyOf(outcome: Resolution | ResolveError): string | undefined {
    const { negativeTtlMs, platform } = this.#question
    if (!(outcome instanceof ResolveError)) return answerLine(platform, outcome)
    return isAbsence(outcome) && negativeTtlMs > 0 ? absenceBody(outcome) : undefined
  }

  #keepMs(isError: boolean): number {
    const { keptMs, maxAgeMs = 0, negativeTtlMs } = this.#question
    return isError ? negativeTtlMs : Math.min(Math.max(keptMs, maxAgeMs, 1), MAX_KEPT_MS)
  }

  async #timed<T>(work: Promise<T>): Promise<T> {
    const startedMs = this.#tools.steady()
    const result = await work
    this.#spentMs += this.#tools.steady() - startedMs
    return result
  }
}
