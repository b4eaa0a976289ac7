import { type AttemptOutcome, ResolveError, toResolveError } from '../errors.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Descriptor, ImageIdentity } from '../registry/image.ts'
import type { ResolutionCache } from './cache/cache.ts'
import type { Ask, AskOptions, Authorize, CandidateCall } from './candidate-request.ts'
import { needsConsent, rankReferences, resolvesTags, type Standing } from './candidates.ts'
import { explain } from './explain.ts'
import { askAll, askInOrder, type Found } from './failover.ts'
import { barred, OriginAuthorization } from './origin-authorization.ts'
import type { Question } from './question.ts'
import { ResolveTrace } from './trace.ts'
import type { Candidate, CandidateReport, Health, ImageSource } from './types.ts'
import { UnresolvedError } from './unresolved-error.ts'

interface SearchOptions
  extends Required<Pick<AskOptions<unknown>, 'clock' | 'credentials' | 'limits' | 'signal'>> {
  readonly source: ImageSource
  readonly cache: Pick<ResolutionCache, 'identity'>
  readonly health: Health
  /** An older answer is known, so that a HEAD is probably enough. */
  readonly expected: boolean
  readonly verifyDigest: boolean
  /** What other nodes know of a digest; undefined: nothing is shared. */
  readonly sharedIdentity: ((digest: string) => Promise<ImageIdentity | undefined>) | undefined
}

/** After these nothing is known of a registry; it may be able to serve the digest later. */
const UNDECIDED: ReadonlySet<AttemptOutcome | undefined> = new Set([
  undefined,
  'canceled',
  'skipped',
  'timeout',
  'unreachable',
])

/** Asks the candidates for an image, once. */
export class ImageSearch {
  readonly #question: Question
  readonly #candidates: readonly Candidate[]
  /** Candidates that may say what the reference points at; the others are asked by digest alone. */
  readonly #askable: readonly Candidate[]
  readonly #options: SearchOptions
  readonly #trace: ResolveTrace<ImageIdentity>
  readonly #authorization: OriginAuthorization

  /** @param candidates in the order of asking */
  constructor(question: Question, candidates: readonly Candidate[], options: SearchOptions) {
    const { clock, health, limits, signal, source } = options
    const { reference } = question
    const isByDigest = reference.digest !== undefined
    this.#question = question
    this.#candidates = candidates
    this.#askable = candidates.filter((candidate) => isByDigest || resolvesTags(candidate))
    this.#options = options
    const what = formatReference(reference)
    this.#trace = new ResolveTrace(what, candidates, health, clock, isByDigest)
    this.#authorization = new OriginAuthorization({
      origin: candidates.find(({ origin }) => origin),
      ask: (call) => source.digest({ ...call, reference: wanted(reference) }),
      observer: (candidate, registry) => this.#trace.of(candidate).observer(registry),
      health,
      clock,
      limits,
      urgent: question.urgent,
      signal,
    })
  }

  /**
   * With `all` of the question every candidate is asked at once and awaited, else as askInOrder() does.
   *
   * @throws UnresolvedError
   */
  async run() {
    const { all, reference } = this.#question
    try {
      const found = await (all ? this.#askAll() : this.#askInOrder())
      const { candidate, value } = found
      await this.#confirmByDigest(value)
      const standing = (each: Candidate) => this.#standing(each, value.digest)
      return {
        identity: value,
        registry: candidate.registry,
        references: rankReferences(reference, value.digest, this.#candidates, standing),
        attempts: this.#trace.attempts,
        candidates: this.#explain(found),
      }
    } catch (thrown) {
      throw new UnresolvedError(this.#explain(), { cause: thrown })
    }
  }

  #explain(found?: Found<ImageIdentity>): readonly CandidateReport[] {
    return explain(this.#question.reference, this.#trace, found, this.#authorization.digest)
  }

  #askInOrder() {
    return askInOrder(this.#askable, this.#identify, this.#shared())
  }

  async #askAll() {
    await askAll(this.#askable, this.#identify, { ...this.#shared(), resting: true })
    for (const { answer, candidate } of this.#trace.traces) {
      if (answer !== undefined) return { candidate, value: answer }
    }
    throw this.#trace.error(this.#options.signal)
  }

  /** Asks those that are asked by digest alone, now that the digest is known. */
  async #confirmByDigest(image: ImageIdentity): Promise<void> {
    const others = this.#candidates.filter((candidate) => !this.#askable.includes(candidate))
    const confirm: Ask<ImageIdentity> = async (_candidate, call) => {
      await this.#options.source.digest({ ...call, reference: image.digest })
      return image
    }
    const authorize = this.#authorizeFor(image.digest)
    await askAll(others, confirm, { ...this.#shared(), authorize, resting: false })
  }

  /**
   * Which image the reference is at one candidate. One GET when nothing is known; one HEAD when what the
   * registry names is already known; one more with `verifyDigest`, since there are registries that still
   * know a tag after its manifest is gone (harbor#16429).
   *
   * @throws ResolveError as ImageSource; MANIFEST_UNKNOWN for such a tag
   */
  readonly #identify: Ask<ImageIdentity> = async (candidate, call, promoted) => {
    const { source } = this.#options
    const { isPlatformAsked, platform, reference } = this.#question
    // A registry that is not trusted is asked for the very digest that the origin names.
    const authorized = needsConsent(candidate) ? this.#authorization.digest : undefined
    const name = authorized ?? wanted(reference)
    const request = { ...call, reference: name }
    const isExpected = this.#options.expected && authorized === undefined
    const known = name.includes(':') ? await this.#identity(name) : undefined
    if (promoted === undefined && !isExpected && known === undefined) {
      const image = await source.image(request, platform, isPlatformAsked)
      await this.#verify(candidate, call, name, image)
      return image
    }
    const now = await source.digest(request)
    const image = await this.#identity(now.digest)
    if (image === undefined) {
      if (promoted !== undefined) {
        this.#trace.of(candidate).named = now.digest
        await promoted()
      }
      return source.image({ ...call, reference: now.digest }, platform, isPlatformAsked)
    }
    await this.#verify(candidate, call, name, now)
    return image
  }

  async #identity(digest: string): Promise<ImageIdentity | undefined> {
    return this.#known(digest) ?? (await this.#options.sharedIdentity?.(digest))
  }

  #known(digest: string): ImageIdentity | undefined {
    const { all, isPlatformAsked, platform } = this.#question
    const identity = all ? undefined : this.#options.cache.identity(digest, platform)
    return isPlatformAsked && identity?.platform.assumed ? undefined : identity
  }

  /** @param name what was asked for: a digest is confirmed thereby */
  async #verify(
    candidate: Candidate,
    call: CandidateCall,
    name: string,
    { digest }: Descriptor,
  ): Promise<void> {
    if (!this.#options.verifyDigest || name.includes(':')) return
    try {
      await this.#options.source.digest({ ...call, reference: digest })
    } catch (thrown) {
      const error = toResolveError(thrown)
      throw error.code === 'MANIFEST_UNKNOWN' ? gone(candidate, digest, error) : error
    }
  }

  /** The origin authorizes one digest, and no other. */
  #authorizeFor(digest: string): Authorize {
    return (candidate) =>
      this.#authorization.authorize(candidate)?.then((authorized) => {
        if (authorized === digest) return
        throw barred('DENIED', `its origin names another digest by this tag, ${authorized}`)
      })
  }

  #shared(): AskOptions<ImageIdentity> {
    const { clock, credentials, limits, signal } = this.#options
    const { authorize } = this.#authorization
    const { urgent } = this.#question
    return { clock, credentials, limits, signal, urgent, trace: this.#trace, authorize }
  }

  /**
   * A registry with another digest under the tag counts as one without the image: never merged. So does one
   * that needs the consent of the origin and may not have it.
   */
  #standing(candidate: Candidate, digest: string): Standing {
    const { answer, attempt, named: told } = this.#trace.of(candidate)
    const named = answer?.digest ?? told
    if (named !== undefined) return named === digest ? 'verified' : 'refuted'
    if (needsConsent(candidate)) return 'refuted'
    return UNDECIDED.has(attempt?.outcome) ? 'assumed' : 'refuted'
  }
}

/** What a registry is asked for: a digest, else a tag. */
function wanted({ digest, tag }: Reference): string {
  return digest ?? tag ?? 'latest'
}

function gone({ pullName }: Candidate, digest: string, cause: ResolveError): ResolveError {
  return new ResolveError(
    'MANIFEST_UNKNOWN',
    `${pullName} still names ${digest} by that tag, but no longer has it`,
    { cause, step: 'manifest', status: cause.status },
  )
}
