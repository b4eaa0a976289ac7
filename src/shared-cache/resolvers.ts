import { readFile } from 'node:fs/promises'
import { Attempt as AttemptSchema } from '../../api/v1/attempt.ts'
import type { ResolverEntry } from '../config/config.ts'
import { type Attempt, type ErrorCode, ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { parseNormalized } from '../reference/reference.ts'
import { Breaker } from '../registry/breaker.ts'
import { endpointName, endpointUrl } from '../registry/endpoint.ts'
import { readBody } from '../registry/response.ts'
import { Transport } from '../registry/transport/transport.ts'
import { readLine } from '../resolver/cache/snapshot-lines.ts'
import { needsConsent, rankReferences, type Standing } from '../resolver/candidates.ts'
import type {
  SharedAnswer,
  SharedCache,
  SharedLookup,
  SharedQuestion,
} from '../resolver/sharing.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'

export interface ResolversOptions {
  /** In the order of asking. */
  readonly entries: readonly ResolverEntry[]
  /** How old an answer may be that a pull takes. */
  readonly freshnessMs: number
  /** This service, in `Via`: by it one that is asked by itself notices that. */
  readonly via: string
  readonly metrics: Pick<SharedMetrics, 'lookups' | 'unused'>
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/** The longest answer, with a thousand places, has less. */
const MAX_BODY_BYTES = 1024 * 1024
const MAX_TOKEN_BYTES = 16 * 1024
/** Part of the age that may pass there; the rest is for the way back. */
const AGE_PART = 0.8
const NO_PAUSES: ReadonlyMap<string, number> = new Map()

/** After these the registries have answered, whichever service asked them. */
const FINAL: ReadonlySet<unknown> = new Set<ErrorCode>([
  'DENIED',
  'MANIFEST_UNKNOWN',
  'PLATFORM_UNKNOWN',
  'UNAUTHORIZED',
])

type Fields = Readonly<Record<string, unknown>>
type Found = Pick<SharedLookup, 'absence' | 'answer' | 'parked'>

/**
 * Services like this one that are asked before any registry: `GET /resolve` over HTTP, with their own token and
 * authorities. One that cannot be reached, is silent, or refuses the question for a reason of its own is left alone,
 * for 1 s at first and up to a minute. What registries said to it, it says for them, a refusal too.
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

  /** They are told by registries themselves. */
  async expire(): Promise<void> {}

  park(): void {}

  async lookup(question: SharedQuestion): Promise<SharedLookup> {
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
    })
    const bytes = await readBody(response, MAX_BODY_BYTES)
    const body = fieldsOf(parse(bytes?.toString() ?? ''))
    if (response.status !== 200) return refusalIn(body, response.status, question)
    const answer = answerIn(body, question)
    if (answer === undefined) throw new Error('what it answers is no answer of an image-resolver')
    const ageMs = answer.ageMs + Math.max(0, steady() - beganMs)
    const isYoung = ageMs <= maxAgeMs && body['source'] !== 'stale' && body['source'] !== 'node'
    return isYoung ? { answer: { ...answer, ageMs }, parked: NO_PAUSES } : { parked: NO_PAUSES }
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

/**
 * @returns what registries said to the resolver; nothing where another one may reach more of them
 * @throws Error for what the resolver says of itself
 */
function refusalIn(body: Fields, status: number, { isPlatformAsked }: SharedQuestion): Found {
  const [first] = Array.isArray(body['errors']) ? body['errors'] : []
  const { code, detail, message } = fieldsOf(first)
  const { attempts } = fieldsOf(detail)
  if (!Array.isArray(attempts) || attempts.length === 0 || typeof message !== 'string') {
    const said = typeof message === 'string' ? `: ${quote(message)}` : ''
    throw new Error(`it answered ${status}${said}`)
  }
  const read = attempts.flatMap((each) => readAttempt(each) ?? [])
  // Of an image without an index this node's own platform is assumed, which the resolver cannot.
  const isOpen = code === 'PLATFORM_UNKNOWN' && !isPlatformAsked
  if (!FINAL.has(code) || isOpen || read.length < attempts.length) return { parked: NO_PAUSES }
  const error = new ResolveError(code as ErrorCode, message, { attempts: read })
  // Its age is not known, so that it is not kept here.
  return { absence: { error, ageMs: Number.MAX_SAFE_INTEGER }, parked: NO_PAUSES }
}

const STEPS: readonly unknown[] = AttemptSchema.properties.step.enum
const OUTCOMES: readonly unknown[] = AttemptSchema.properties.outcome.enum

function readAttempt(value: unknown): Attempt | undefined {
  const { message, ms, outcome, registry, status, step } = fieldsOf(value)
  if (typeof registry !== 'string' || typeof ms !== 'number') return undefined
  if (!STEPS.includes(step) || !OUTCOMES.includes(outcome)) return undefined
  return {
    registry,
    step: step as Attempt['step'],
    outcome: outcome as Attempt['outcome'],
    ms,
    ...(typeof status === 'number' && { status }),
    ...(typeof message === 'string' && { message }),
  }
}

/**
 * @returns the answer, with the places of this configuration; undefined: it is none. Nothing of it is unchecked.
 */
function answerIn(body: Fields, question: SharedQuestion): SharedAnswer | undefined {
  const { candidates, platform: asked, reference } = question
  const platform = fieldsOf(body['platform'])
  const [resolvedAt, expiresAt] = [body['resolvedAt'], body['expiresAt']].map((text) =>
    typeof text === 'string' ? Date.parse(text) : undefined,
  )
  const line = {
    ...body,
    size: 0,
    asked,
    platform: { ...platform, assumed: platform['assumed'] === true },
    resolvedAt,
    expiresAt,
  }
  const { known, where } = readLine(JSON.stringify({ where: line })) ?? {}
  const ageMs = body['ageMs']
  if (known === undefined || where === undefined || where.reference !== reference) return undefined
  if (typeof ageMs !== 'number' || !(ageMs >= 0)) return undefined
  const { digest } = known.identity
  const listed = new Map(where.references.map((each) => [each.reference, each]))
  const listedAt = (pullName: string) => listed.get(`${pullName}@${digest}`)
  const isKnown = candidates.some(({ pullName }) => listedAt(pullName) !== undefined)
  const references = rankReferences(
    parseNormalized(reference),
    digest,
    candidates,
    (candidate): Standing => {
      const found = listedAt(candidate.pullName)
      if (found !== undefined) return found.verified ? 'verified' : 'assumed'
      // It names the places that have the image, where it has the same registries.
      return isKnown || needsConsent(candidate) ? 'refuted' : 'assumed'
    },
  )
  const own = candidates.find(
    ({ pullName }) =>
      listedAt(pullName)?.verified && listedAt(pullName)?.registry === where.registry,
  )
  const registry = own?.registry ?? where.registry
  return { identity: known.identity, registry, references, ageMs }
}

async function readToken(path: string): Promise<string> {
  const text = await readFile(path, 'utf8')
  if (text.length > MAX_TOKEN_BYTES) throw new Error(`${path} is larger than 16 KiB`)
  const token = text.trim()
  if (/^[!-~]+$/.test(token)) return token
  throw new Error(`${path} holds no token`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}
