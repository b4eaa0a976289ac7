import type { ResolverEntry } from '../config/config.ts'
import { fieldsOf, parseJson } from '../json.ts'
import { Breaker } from '../registry/breaker.ts'
import { endpointName, endpointUrl } from '../registry/endpoint.ts'
import { readBody } from '../registry/response.ts'
import { Transport } from '../registry/transport/transport.ts'
import type { SharedCache, SharedQuestion, SharedReply } from '../resolver/shared-cache.ts'
import type { Keychain } from '../resolver/types.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { readSecret } from './redis-connection.ts'
import { answerIn, type Found, isAbsence, NO_PAUSES, refusalIn } from './resolver-words.ts'

export interface ResolversOptions {
  /** In the order of asking. */
  readonly entries: readonly ResolverEntry[]
  /** How old an answer may be that a pull takes. */
  readonly freshnessMs: number
  /** This service, in `Via`: by it one that is asked by itself notices that. */
  readonly via: string
  /** Of this node. */
  readonly keychain: Keychain
  readonly metrics: Pick<SharedMetrics, 'lookups' | 'unused'>
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/** The longest answer, with a thousand places, has less. */
const MAX_BODY_BYTES = 1024 * 1024
/** Part of the age that may pass there; the rest is for the way back. */
const AGE_PART = 0.8

/**
 * Services like this one that are asked before any registry: `GET /resolve` over HTTP, with their own token and
 * authorities. One that cannot be reached, is silent, refuses the question for a reason of its own, or answers another
 * one is left alone, for 1 s at first and up to a minute. Its answers count as the registries' own. A refusal or an
 * absence counts only if it covers all registries of this node, and they would say the same to the credentials of this node.
 */
export class Resolvers implements SharedCache {
  readonly #options: ResolversOptions
  readonly #breaker: Breaker
  readonly #transport: Transport
  /** Names of those that are left alone. */
  readonly #gone = new Set<string>()

  constructor(options: ResolversOptions) {
    this.#options = options
    const { steady: now, via } = options
    this.#breaker = new Breaker({ now })
    this.#transport = new Transport({ now, via })
  }

  get freshnessMs(): number {
    return this.#options.freshnessMs
  }

  readonly asksServices = true

  park(): void {}

  async lookup(question: SharedQuestion): Promise<SharedReply> {
    const nothing = { parked: NO_PAUSES, identity: async () => undefined, tell: () => {} }
    // The caller wants what registries say now.
    if (!question.maxAgeMs) return nothing
    const { lookups } = this.#options.metrics
    const found = await this.#find(question)
    if (found?.answer !== undefined) lookups.answer += 1
    else if (found?.absence !== undefined) lookups.absence += 1
    else if (found === undefined) lookups.left_alone += 1
    else lookups.none += 1
    return { ...nothing, ...found }
  }

  async close(): Promise<void> {
    await this.#transport.close()
  }

  /** @returns undefined: none of them answers */
  async #find(question: SharedQuestion): Promise<Found | undefined> {
    const { entries, steady } = this.#options
    const { signal, waitMs } = question
    const beganMs = steady()
    for (const [index, entry] of entries.entries()) {
      const leftMs = waitMs - (steady() - beganMs)
      const name = endpointName(entry.endpoint)
      if (leftMs <= 0 || signal.aborted) return undefined
      if (!this.#breaker.admit(name)) continue
      const limit = AbortSignal.timeout(Math.ceil(leftMs / (entries.length - index)))
      try {
        const found = await this.#ask(entry, question, AbortSignal.any([signal, limit]))
        this.#works(name)
        return found
      } catch (thrown) {
        // The caller left, which says nothing of the resolver.
        if (!signal.aborted) this.#failed(name, thrown)
      }
    }
    return undefined
  }

  /** @throws what keeps this resolver from being asked further */
  async #ask(entry: ResolverEntry, question: SharedQuestion, signal: AbortSignal): Promise<Found> {
    const { endpoint, tokenFile } = entry
    const { maxAgeMs = 0, platform, reference } = question
    const { steady } = this.#options
    const token = tokenFile === undefined ? undefined : await readToken(tokenFile)
    const path = endpoint.prefix === '' ? '/resolve' : `/${endpoint.prefix}/resolve`
    const url = new URL(path, endpointUrl(endpoint))
    url.searchParams.set('ref', reference)
    url.searchParams.set('platform', platform)
    url.searchParams.set('maxAge', String(Math.floor(maxAgeMs * AGE_PART)))
    const beganMs = steady()
    const response = await this.#transport.send({
      url,
      method: 'GET',
      headers: {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      endpoint,
      reach: 'anywhere',
      signal,
      propagate: true,
    })
    const bytes = await readBody(response, MAX_BODY_BYTES)
    const body = fieldsOf(parseJson(bytes?.toString() ?? ''))
    if (response.status !== 200) {
      const found = refusalIn(body, response.status, question)
      const isOwn =
        found.absence === undefined || (await this.#isForThis(found.absence, question, signal))
      return isOwn ? found : { parked: NO_PAUSES }
    }
    const answer = answerIn(body, question)
    if (answer === undefined) throw new Error('what it answers is no answer of an image-resolver')
    const ageMs = answer.ageMs + Math.max(0, steady() - beganMs)
    const isYoung = ageMs <= maxAgeMs && body['source'] !== 'stale' && body['source'] !== 'node'
    return isYoung ? { answer: { ...answer, ageMs }, parked: NO_PAUSES } : { parked: NO_PAUSES }
  }

  /** Whether the registries would refuse this node too, as far as it can be told while the caller waits. */
  async #isForThis(
    { error }: NonNullable<Found['absence']>,
    { candidates }: SharedQuestion,
    signal: AbortSignal,
  ): Promise<boolean> {
    if (isAbsence(error.code)) return true
    const late = new Promise<boolean>((resolve) => {
      if (signal.aborted) resolve(true)
      signal.addEventListener('abort', () => resolve(true), { once: true })
    })
    const asked = candidates.map(({ endpoint, entry, repository }) =>
      this.#options.keychain.credentials(endpoint.host, repository, entry),
    )
    const some = Promise.all(asked).then((each) => each.some((own) => own !== undefined))
    return !(await Promise.race([some, late]))
  }

  #works(name: string): void {
    this.#breaker.success(name)
    if (!this.#gone.delete(name)) return
    this.#options.metrics.unused = this.#gone.size === 0 ? 0 : 1
    this.#options.logger.info({ resolver: name }, 'the resolver answers again')
  }

  #failed(name: string, thrown: unknown): void {
    this.#breaker.failure(name)
    if (this.#gone.has(name)) return
    this.#gone.add(name)
    this.#options.metrics.unused = 1
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    const next = 'registries are asked by this node until it answers again'
    this.#options.logger.warn({ resolver: name, reason, next }, 'a resolver is left alone')
  }
}

async function readToken(path: string): Promise<string> {
  const token = await readSecret(path)
  if (/^[!-~]+$/.test(token)) return token
  throw new Error(`${path} holds no token`)
}
