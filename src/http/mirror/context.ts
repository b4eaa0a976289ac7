import { LRUCache } from 'lru-cache'
import { CONFIG_DEFAULTS } from '../../../api/v1/config-defaults.ts'
import { type Clock, systemClock } from '../../concurrency/clock.ts'
import { waitBefore } from '../../concurrency/semaphore.ts'
import { ResolveError } from '../../errors.ts'
import { type Reference, repositoryName } from '../../reference/reference.ts'
import type { RegistryClient } from '../../registry/client.ts'
import type { Credentials } from '../../registry/credentials.ts'
import { type FailureContext, networkFailure, statusFailure } from '../../registry/failure.ts'
import type { ImageRequest } from '../../registry/image.ts'
import { type Content, readBody } from '../../registry/response.ts'
import type { Ask } from '../../resolver/candidate-request.ts'
import { isPullable, needsConsent, requestAt } from '../../resolver/candidates.ts'
import { askInOrder, type Found } from '../../resolver/failover.ts'
import { ResolveTrace } from '../../resolver/trace.ts'
import type { Candidate, Health, Resolution } from '../../resolver/types.ts'
import type { Logger } from '../../telemetry/log.ts'
import { BlobSizes } from './part.ts'

/** The resolver as the mirror endpoint sees it. */
interface MirrorResolver {
  /** Every registry where the repository may be found, in the order of asking. */
  candidates(reference: Reference): readonly Candidate[]
  credentials(candidate: Candidate): Promise<Credentials | undefined>
  /** How long a registry may be silent before the next one is asked in its place. */
  readonly probeBudgetMs: number
  resolve(
    reference: Reference,
    options: { readonly signal: AbortSignal; readonly refresh: boolean },
  ): Promise<Pick<Resolution, 'digest' | 'mediaType' | 'size'>>
}

export interface MirrorOptions {
  readonly resolver: MirrorResolver
  readonly source: Pick<RegistryClient, 'open' | 'head' | 'tags'>
  /** The same as the resolver's, so that failures which one meets count for the other. */
  readonly health: Health
  readonly logger: Pick<Logger, 'warn' | 'error'>
  /** What we are called in `Via` when we ask registries; default: nothing. */
  readonly via?: string
  readonly clock?: Clock
  readonly limits?: Partial<MirrorLimits>
}

/**
 * What bounds a request of `/v2/`, beside the limits of every HTTP client (../limits.ts) and the time that a
 * registry may be silent (registry/transport/transport.ts). A blob that moves has no limit of size or time.
 */
export interface MirrorLimits {
  /** How long a registry may be silent before the next one is asked in its place. Default: the resolver's. */
  readonly probeBudgetMs?: number
  /** Until the head of an answer; bodies take as long as they take. Default 20000. */
  readonly totalMs: number
  /** How long a client may leave what it was sent unread. Default 60000. */
  readonly silenceMs: number
  /** Blobs under way at once, the others queued. Default: as configured without a file. */
  readonly blobs: number
  /** Of these to one client, as clientKey tells them apart. Default: as configured without a file. */
  readonly blobsPerClient: number
  /** How long a request may be queued. Default 120000: containerd ends a pull after 5 minutes without a byte. */
  readonly blobWaitMs: number
}

export const DEFAULT_LIMITS: MirrorLimits = {
  totalMs: 20_000,
  silenceMs: 60_000,
  blobs: CONFIG_DEFAULTS.mirrorBlobs,
  blobsPerClient: CONFIG_DEFAULTS.mirrorBlobsPerClient,
  blobWaitMs: 120_000,
}

/** What every kind of content is served with. */
export interface MirrorContext extends MirrorOptions {
  readonly clock: Clock
  readonly limits: MirrorLimits
  readonly candidates: MirrorCandidates
  readonly sizes: BlobSizes
}

export function createContext(options: MirrorOptions): MirrorContext {
  const { clock = systemClock } = options
  const limits = { ...DEFAULT_LIMITS, ...options.limits }
  const candidates = new MirrorCandidates(options, clock, limits)
  return { ...options, clock, limits, candidates, sizes: new BlobSizes() }
}

interface Wanted<T> {
  /** For error texts. */
  readonly what: string
  readonly candidates: readonly Candidate[]
  /** The client's; what it asks for is given up with it. */
  readonly signal: AbortSignal
  /** Asks one candidate; the reference is still to be filled in. */
  readonly ask: (request: Omit<ImageRequest, 'reference'>) => Promise<T>
}

const MAX_REPOSITORIES = 1_000
const MAX_BROKEN = 1_000
/** Longer than the pauses that a kubelet makes between two tries. */
const BROKEN_MS = 600_000

/**
 * Which registries are asked for content, in which order, one after the other. Remembers which one served the
 * manifest of a repository, and which ones broke off in a blob.
 */
class MirrorCandidates {
  readonly #options: Pick<MirrorOptions, 'health' | 'resolver'>
  readonly #clock: Clock
  readonly #limits: MirrorLimits
  /** By repository: the registry that served its last manifest. */
  readonly #served = new LRUCache<string, string>({ max: MAX_REPOSITORIES })
  /** Until when a registry comes last for a digest. */
  readonly #broken = new LRUCache<string, number>({ max: MAX_BROKEN })

  constructor(
    options: Pick<MirrorOptions, 'health' | 'resolver'>,
    clock: Clock,
    limits: MirrorLimits,
  ) {
    this.#options = options
    this.#clock = clock
    this.#limits = limits
  }

  /**
   * A request does not say which pod the image is for. A registry that needs the origin's consent
   * (KEP-2535) is therefore not used.
   *
   * @param may a further condition
   * @throws ResolveError DENIED when the configuration leaves none
   */
  of(reference: Reference, may: (candidate: Candidate) => boolean = () => true): Candidate[] {
    const all = this.#options.resolver.candidates(reference)
    const usable = all.filter((each) => isPullable(each) && !needsConsent(each) && may(each))
    if (usable.length > 0) return usable
    throw new ResolveError(
      'DENIED',
      `${repositoryName(reference)}: no registry of the configuration may be asked for it here`,
    )
  }

  /** First the registry that served the manifest, last those that broke off in this very blob. */
  ofBlob(reference: Reference): Candidate[] {
    const served = this.#served.get(repositoryName(reference))
    const rank = (candidate: Candidate): number => {
      if (this.#isBroken(candidate, reference)) return 2
      return candidate.registry === served ? 0 : 1
    }
    return this.of(reference).sort((one, other) => rank(one) - rank(other))
  }

  servedManifest({ registry }: Candidate, reference: Reference): void {
    this.#served.set(repositoryName(reference), registry)
  }

  brokeOff(candidate: Candidate, reference: Reference): void {
    this.#broken.set(brokenKey(candidate, reference), this.#clock.now() + BROKEN_MS)
  }

  /**
   * The first answer, as the resolver asks for images.
   *
   * @throws ResolveError with the attempts, as askInOrder()
   */
  async first<T>({ what, candidates, signal, ask }: Wanted<T>): Promise<Found<T>> {
    const { health, resolver } = this.#options
    const { probeBudgetMs = resolver.probeBudgetMs, totalMs } = this.#limits
    const clock = this.#clock
    const deadline = new AbortController()
    const cancelDeadline = clock.after(totalMs, () =>
      deadline.abort(new ResolveError('DEADLINE_EXCEEDED', `${what}: out of time`)),
    )
    const trace = new ResolveTrace<T>(candidates, health, clock)
    const askOne: Ask<T> = async (candidate, signalOfFailover, ticket) => {
      const found = resolver.credentials(candidate)
      const credentials = await waitBefore(ticket, 'for credentials', found)
      return ask({
        ...requestAt(candidate, credentials),
        observe: trace.of(candidate).observer(),
        signal: signalOfFailover,
        ticket,
      })
    }
    try {
      return await askInOrder(candidates, askOne, {
        what,
        // Never hedged: what is asked for is the body itself.
        limits: { probeBudgetMs },
        trace,
        clock,
        signal: AbortSignal.any([signal, deadline.signal]),
      })
    } finally {
      cancelDeadline()
    }
  }

  #isBroken(candidate: Candidate, reference: Reference): boolean {
    return this.#clock.now() < (this.#broken.get(brokenKey(candidate, reference)) ?? 0)
  }
}

function brokenKey({ registry }: Candidate, { digest }: Reference): string {
  return `${registry} ${digest}`
}

type Asked = Pick<ImageRequest, 'endpoint' | 'repository' | 'signal'>

/** As large a manifest as the specification asks registries to take. */
const MAX_BYTES = 4 * 1024 * 1024

/**
 * The whole body of an answer.
 *
 * @throws ResolveError MANIFEST_INVALID for more than 4 MiB; what a body that breaks off means
 */
export async function readWhole(answer: Content, asked: Asked): Promise<Buffer> {
  try {
    const bytes = await readBody({ ...answer, ended: () => {} }, MAX_BYTES)
    if (bytes !== undefined) return bytes
    throw new ResolveError('MANIFEST_INVALID', `${asked.repository}: more than 4 MiB`)
  } catch (thrown) {
    answer.body.destroy()
    throw networkFailure(thrown, failureOf(asked), asked.signal)
  }
}

/** The error for an answer that is no success. Reads its body, for as long as the request's signal lets it. */
export async function refusal(asked: Asked, answer: Content, now: number): Promise<ResolveError> {
  const { signal } = asked
  const leave = (): void => void answer.body.destroy()
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await statusFailure({ ...answer, ended: () => {} }, failureOf(asked), now)
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

function failureOf({ endpoint, repository }: Asked): FailureContext {
  return { host: endpoint.host, subject: repository, step: 'manifest' }
}
