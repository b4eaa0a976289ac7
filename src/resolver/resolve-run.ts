import type { Clock } from '../concurrency/clock.ts'
import { type Ticket, waitBefore } from '../concurrency/semaphore.ts'
import { type AttemptOutcome, ResolveError, toResolveError } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Descriptor, ImageIdentity, ImageRequest, ObserveExchange } from '../registry/image.ts'
import { type Ask, type Authorize, askAll, type FailoverLimits } from './candidate-request.ts'
import { needsConsent, resolvesTags } from './candidates.ts'
import { type Ending, explain } from './explain.ts'
import { askInOrder } from './failover.ts'
import { barred, OriginAuthorization } from './origin-authorization.ts'
import { rankReferences, type Standing } from './ranking.ts'
import { ResolveTrace } from './trace.ts'
import type { Candidate, CandidateReport, Health, ImageSource, Resolution } from './types.ts'
import { UnresolvedError } from './unresolved.ts'

export interface Question {
  readonly reference: Reference
  readonly platform: Platform
  /** The caller named it. */
  readonly isPlatformAsked: boolean
  /** Which image a digest is, where that is known; absent: nothing that is known counts. */
  readonly known?: (digest: string) => ImageIdentity | undefined
  /** Something is known, so that a HEAD probably does. */
  readonly expected: boolean
  /** Ask by digest once more where a tag was asked for. */
  readonly verifyDigest: boolean
}

export interface ResolveRunOptions {
  readonly source: ImageSource
  readonly health: Health
  readonly clock: Clock
  readonly limits: FailoverLimits
  readonly credentials: (candidate: Candidate) => Promise<Credentials | undefined>
  /** Whether it goes first where many stand in line. */
  readonly urgent: boolean
  readonly signal: AbortSignal
}

/** What came of it. */
export interface RunResult
  extends Required<Pick<Resolution, 'registry' | 'references' | 'attempts' | 'candidates'>> {
  readonly identity: ImageIdentity
}

/** Of these registries nothing is known; they may be able to serve the digest later. */
const UNDECIDED: ReadonlySet<AttemptOutcome | undefined> = new Set([
  undefined,
  'canceled',
  'skipped',
  'timeout',
  'unreachable',
])

/** One question, put to its candidates once. */
export class ResolveRun {
  readonly #question: Question
  readonly #candidates: readonly Candidate[]
  readonly #options: ResolveRunOptions
  readonly #trace: ResolveTrace<ImageIdentity>
  readonly #authorization: OriginAuthorization

  constructor(question: Question, candidates: readonly Candidate[], options: ResolveRunOptions) {
    const { clock, health, limits, signal, source } = options
    this.#question = question
    this.#candidates = candidates
    this.#options = options
    const isByDigest = question.reference.digest !== undefined
    this.#trace = new ResolveTrace(candidates, health, clock, isByDigest)
    this.#authorization = new OriginAuthorization({
      origin: candidates.find(({ origin }) => origin),
      ask: (candidate, asked, line, observe) => {
        const { credentials } = candidate
        const ticket = this.#urgent(line)
        return source.digest(
          requestFor(
            { candidate, credentials, signal: asked, ticket, observe },
            wanted(question.reference),
          ),
        )
      },
      observer: (candidate, registry) => this.#trace.of(candidate).observer(registry),
      health,
      clock,
      budgetMs: limits.probeBudgetMs,
      signal,
    })
  }

  /**
   * @param all ask every candidate at once and wait for all of them; else as askInOrder() does
   * @throws UnresolvedError
   */
  async run(all: boolean): Promise<RunResult> {
    try {
      const ending = await (all ? this.#askAll() : this.#askInOrder())
      await this.#confirm(ending)
      const { candidate: winner, digest } = ending
      const standing = (candidate: Candidate) => this.#standing(candidate, digest)
      return {
        identity: this.#answer(winner),
        registry: winner.registry,
        references: rankReferences(this.#question.reference, digest, this.#candidates, standing),
        attempts: this.#trace.attempts,
        candidates: this.#explain(ending),
      }
    } catch (thrown) {
      throw new UnresolvedError(this.#explain(), { cause: thrown })
    }
  }

  #explain(ending?: Ending): readonly CandidateReport[] {
    return explain(this.#question.reference, this.#trace, ending, this.#authorization.digest)
  }

  async #askInOrder(): Promise<Ending> {
    const found = await askInOrder(this.#askable(), this.#ask, {
      ...this.#shared(),
      what: formatReference(this.#question.reference),
    })
    return { candidate: found.candidate, digest: found.value.digest }
  }

  async #askAll(): Promise<Ending> {
    const candidates = this.#askable()
    await askAll(candidates, this.#ask, { ...this.#shared(), resting: true })
    const candidate = candidates.find((each) => this.#trace.of(each).answer !== undefined)
    const what = formatReference(this.#question.reference)
    if (candidate === undefined) {
      const { signal } = this.#options
      throw signal.aborted ? this.#trace.ended(what, signal.reason) : this.#trace.error(what)
    }
    return { candidate, digest: this.#answer(candidate).digest }
  }

  /** Those that are asked by digest alone, once somebody else has said what the tag points at. */
  async #confirm({ candidate: winner, digest }: Ending): Promise<void> {
    const askable = new Set(this.#askable())
    const others = this.#candidates.filter((candidate) => !askable.has(candidate))
    const { source } = this.#options
    const known = this.#answer(winner)
    await askAll(
      others,
      async (candidate, signal, ticket) => {
        await source.digest(requestFor(await this.#probe(candidate, signal, ticket), digest))
        return known
      },
      { ...this.#shared(), authorize: this.#authorizeFor(digest), resting: false },
    )
  }

  readonly #ask: Ask<ImageIdentity> = async (candidate, signal, ticket, promoted) => {
    const probe = await this.#probe(candidate, signal, ticket)
    const question = this.#questionFor(candidate)
    if (promoted === undefined) return identify(this.#options.source, question, probe)
    return identify(this.#options.source, question, probe, (digest) => {
      this.#trace.of(candidate).named = digest
      return promoted()
    })
  }

  /** One that is not trusted is asked for the very digest that its origin names. */
  #questionFor(candidate: Candidate): Question {
    const { digest } = this.#authorization
    if (!needsConsent(candidate) || digest === undefined) return this.#question
    const { reference } = this.#question
    return { ...this.#question, reference: { ...reference, digest }, expected: false }
  }

  /** Consent to one digest is none to another. */
  #authorizeFor(digest: string): Authorize {
    return (candidate) =>
      this.#authorization.authorize(candidate)?.then((consented) => {
        if (consented === digest) return
        throw barred('DENIED', `its origin names another digest by this tag, ${consented}`)
      })
  }

  async #probe(candidate: Candidate, signal: AbortSignal, line: Ticket): Promise<Probe> {
    const credentials = this.#options.credentials(candidate)
    return {
      candidate,
      credentials: await waitBefore(line, 'for credentials', credentials),
      signal,
      ticket: this.#urgent(line),
      observe: this.#trace.of(candidate).observer(),
    }
  }

  #answer(winner: Candidate): ImageIdentity {
    return this.#trace.of(winner).answer as ImageIdentity
  }

  #urgent(ticket: Ticket): Ticket {
    return { ...ticket, urgent: this.#options.urgent }
  }

  #askable(): readonly Candidate[] {
    const byDigest = this.#question.reference.digest !== undefined
    return this.#candidates.filter((candidate) => byDigest || resolvesTags(candidate))
  }

  #shared() {
    const { clock, limits, signal } = this.#options
    return { clock, limits, signal, trace: this.#trace, authorize: this.#authorization.authorize }
  }

  /**
   * A tag that leads elsewhere at another registry is as good as absent there: never merged. Nobody is
   * sent to one that needs the origin's consent and may not have it.
   */
  #standing(candidate: Candidate, digest: string): Standing {
    const { answer, attempt, named: told } = this.#trace.of(candidate)
    const named = answer?.digest ?? told
    if (named !== undefined) return named === digest ? 'verified' : 'refuted'
    if (needsConsent(candidate)) return 'refuted'
    return UNDECIDED.has(attempt?.outcome) ? 'assumed' : 'refuted'
  }
}

/** How one candidate is asked. */
interface Probe {
  readonly candidate: Candidate
  readonly credentials: Credentials | undefined
  readonly signal: AbortSignal
  readonly ticket: Ticket
  readonly observe: ObserveExchange
}

/**
 * Which image the reference is at one candidate. One GET when nothing is known; one HEAD when what the
 * registry names is already known; one HEAD more with `verifyDigest`, since there are registries
 * that still know a tag whose manifest is gone (harbor#16429).
 *
 * @param promoted as in Ask; hears what the HEAD said
 * @throws ResolveError as ImageSource; MANIFEST_UNKNOWN for such a tag
 */
async function identify(
  source: ImageSource,
  question: Question,
  probe: Probe,
  promoted?: (digest: string) => Promise<void>,
): Promise<ImageIdentity> {
  const { isPlatformAsked, known, platform, reference } = question
  const name = wanted(reference)
  const request = requestFor(probe, name)
  const expected = promoted !== undefined || question.expected || known?.(name) !== undefined
  if (!expected) {
    const image = await source.image(request, platform, isPlatformAsked)
    await confirm(source, question, probe, image)
    return image
  }
  const now = await source.digest(request)
  const image = known?.(now.digest)
  // Asked for by its digest it is confirmed thereby.
  if (image === undefined) {
    await promoted?.(now.digest)
    return source.image({ ...request, reference: now.digest }, platform, isPlatformAsked)
  }
  await confirm(source, question, probe, now)
  return image
}

/** What a registry is asked for: a tag or a digest. */
function wanted({ digest, tag }: Reference): string {
  return digest ?? tag ?? 'latest'
}

function requestFor(
  { candidate, credentials, signal, ticket, observe }: Probe,
  reference: string,
): ImageRequest {
  const { configured, endpoint, namespace, repository } = candidate
  return {
    endpoint,
    repository,
    reference,
    configured,
    ...(namespace !== undefined && { namespace }),
    ...(credentials !== undefined && { credentials }),
    signal,
    ticket,
    observe,
  }
}

async function confirm(
  source: ImageSource,
  { reference, verifyDigest }: Question,
  probe: Probe,
  { digest }: Descriptor,
): Promise<void> {
  if (!verifyDigest || reference.digest !== undefined) return
  try {
    await source.digest(requestFor(probe, digest))
  } catch (thrown) {
    const error = toResolveError(thrown)
    throw error.code === 'MANIFEST_UNKNOWN' ? gone(probe.candidate, digest, error) : error
  }
}

function gone({ pullName }: Candidate, digest: string, cause: ResolveError): ResolveError {
  return new ResolveError(
    'MANIFEST_UNKNOWN',
    `${pullName} still names ${digest} by that tag, but no longer has it`,
    { cause, step: 'manifest', ...(cause.status !== undefined && { status: cause.status }) },
  )
}
