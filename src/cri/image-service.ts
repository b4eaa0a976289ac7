import { ownSignal } from '../concurrency/abortable.ts'
import { type Attempt, ResolveError, toResolveError } from '../errors.ts'
import { isImageId, parseReference, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { fromAuthConfig } from '../registry/credentials.ts'
import { isPullable, needsConsent } from '../resolver/candidates.ts'
import type { Candidate, Resolution, ResolveOptions } from '../resolver/types.ts'
import { isOutOfReach, isUndialled, UnresolvedError } from '../resolver/unresolved-error.ts'
import { isRuntimeError } from '../runtime/call.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { Logger } from '../telemetry/log.ts'
import { explainedFailure } from './explained-failure.ts'
import { pullResponse, requestedImage } from './image-messages.ts'
import { ImagePull, type ImagePullOptions, type Pulled, type PullingRuntime } from './image-pull.ts'
import { canonicalName, isConverted, wantedNames } from './names.ts'
import { isRuntimeGone, isUnreached, nameFromMirror } from './node-fallback.ts'
import type { Caller } from './owned-call.ts'
import { fit, PullFailures, RuntimeLeft } from './pull-failures.ts'
import type { PullListener } from './pull-progress.ts'
import { lookForWhole } from './pull-unchanged.ts'

/** The resolver as this service uses it. */
export interface ImageResolver {
  candidates(reference: Reference, credentials?: Credentials): readonly Candidate[]
  /** What is shown at that candidate. */
  credentials(candidate: Candidate): Promise<Credentials | undefined>
  resolve(reference: Reference, options: ResolveOptions): Promise<Resolution>
}

/** The runtime as this service uses it. */
export interface ImageRuntime extends PullingRuntime {
  /** With all its names, by any of them or its ID; succeeds where there is none. */
  removeImage(image: string, options: { readonly signal?: AbortSignal }): Promise<void>
}

export interface ImageServiceOptions extends ImagePullOptions {
  readonly resolver: ImageResolver
  readonly runtime: ImageRuntime
  readonly onResolveError: () => 'passthrough' | 'reject'
  /** False: the runtime pulls also what is there and unchanged. Default true. */
  readonly skipUnchanged?: (() => boolean) | undefined
  readonly log: Logger
  /** Milliseconds of a monotonic clock. Default: this process's. */
  readonly now?: () => number
}

/** A caller that cancels earlier does not do so because of the registry. */
const PATIENCE_MS = 30_000

/** One pull on its way through the places. */
interface Work {
  readonly pull: ImagePull
  readonly reference: Reference
  readonly candidates: readonly Candidate[]
  /** What registries said so far. */
  readonly said: Attempt[]
  readonly signal: AbortSignal
}

/** PullImage and RemoveImage, as kubelet calls them; messages stay bytes. */
export class ImageService {
  readonly #options: ImageServiceOptions
  readonly #now: () => number
  readonly #failures: PullFailures

  constructor(options: ImageServiceOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#failures = new PullFailures(this.#now)
  }

  /**
   * Pulls exactly what the reference names now, from the best registry that has it, and names it by
   * what was asked. When nothing is configured for the reference, or all else failed, the request
   * goes to the runtime as it came, and its error back, with what registries said behind its own text;
   * unless `mirrorsOnly` forbids its origin, where the runtime would go.
   *
   * @param progress from where the runtime pulls, and when the request goes to it as it came
   */
  async pull(
    request: Buffer,
    caller: Caller,
    version: CriVersion,
    progress?: PullListener,
  ): Promise<Buffer> {
    const pull = new ImagePull(request, caller, version, this.#options, progress)
    const passthrough = (): Promise<Buffer> => {
      progress?.passedOn()
      return pull.asItCame()
    }
    const reference = namedBy(requestedImage(request))
    if (reference === undefined) return passthrough()
    const credentials = fromAuthConfig(pull.auth, reference.domain)
    const candidates = this.#options.resolver.candidates(reference, credentials)
    const confined = !candidates.some(({ origin }) => origin)
    const said: Attempt[] = []
    const explained = (failure: unknown): unknown =>
      caller.signal.aborted ? failure : explainedFailure(failure, canonicalName(reference), said)
    const giveUp = (failure: unknown): Promise<Buffer> =>
      (confined ? Promise.reject(failure) : passthrough()).catch((thrown: unknown) => {
        throw explained(thrown)
      })
    if (!confined && !candidates.some(({ configured }) => configured)) return passthrough()
    if (!(await this.#options.names.available())) return giveUp(cannotName(reference))
    const { names, skipUnchanged } = this.#options
    const whole =
      skipUnchanged?.() === false
        ? undefined
        : lookForWhole(names, reference, request, caller.signal, this.#now)
    const answer = await this.#resolve(reference, credentials, caller.signal)
    said.push(...answer.attempts)
    const work = { pull, reference, candidates, said, signal: caller.signal }
    if (answer instanceof ResolveError || answer.source === 'stale') {
      const failure = answer instanceof ResolveError ? answer : noAnswer(answer)
      const pulled = await this.#fromFound(work, failure)
      if (pulled !== undefined) return pulled
      const isRefused = answer === failure && this.#options.onResolveError() === 'reject'
      if (isRefused) throw explained(failure)
      if (!isOutOfReach(failure)) return giveUp(failure)
      if (confined || !isUndialled(failure))
        return (await this.#nameFromMirror(work)) ?? giveUp(failure)
      // The runtime dials the origin that is not dialled from here, and reports whether it refuses.
      return giveUp(failure).catch(async (thrown: unknown) => {
        const named = isUnreached(thrown, reference.domain) && (await this.#nameFromMirror(work))
        if (!named) throw thrown
        return named
      })
    }
    const places = fit(candidates, answer)
    const [first] = this.#failures.inOrder(places, answer.digest)
    if (first?.registry === answer.registry && pull.isAskedAlike(first)) {
      const imageId = await whole?.(wantedNames(reference, answer.digest), answer.digest)
      if (imageId !== undefined) {
        const { digest, registry } = answer
        const what = { image: canonicalName(reference), registry, digest }
        this.#options.log.info(what, 'there and unchanged, nothing was pulled')
        return pullResponse(imageId)
      }
    }
    try {
      return await this.#fromBest(work, places, answer)
    } catch (failure) {
      if (caller.signal.aborted || failure instanceof RuntimeLeft) throw failure
      return giveUp(failure)
    }
  }

  /**
   * Removes an image by any of its names or by its ID, with every name (CRI: kubernetes/kubernetes#135710).
   * Nothing by that name is a success.
   *
   * @throws ResolveError NAME_INVALID for an empty reference: containerd takes it for the beginning
   * of every ID, and would remove whatever single image there is
   */
  async remove(request: Buffer, caller: Caller): Promise<Buffer> {
    const image = requestedImage(request)
    if (image.trim() === '') {
      throw new ResolveError('NAME_INVALID', 'RemoveImage needs the name or the ID of an image')
    }
    await this.#options.runtime.removeImage(image, { signal: caller.signal })
    return Buffer.alloc(0)
  }

  async #resolve(
    reference: Reference,
    credentials: Credentials | undefined,
    signal: AbortSignal,
  ): Promise<Resolution | ResolveError> {
    const { clock, log, onResolveError, resolver, timeoutMs } = this.#options
    const image = canonicalName(reference)
    const limit = ownSignal(signal)
    const cancel = clock.after(timeoutMs, () => {
      const message = `${image}: resolving took longer than ${timeoutMs / 1_000} s (timeout)`
      limit.end(new ResolveError('DEADLINE_EXCEEDED', message))
    })
    try {
      const resolution = await resolver.resolve(reference, {
        refresh: true,
        shared: true,
        urgent: true,
        ...(credentials === undefined ? {} : { credentials }),
        signal: limit.signal,
      })
      const { attempts, source } = resolution
      // This process cannot reach a registry; the runtime may, and its error is the better answer.
      if (source === 'stale')
        log.warn({ image, attempts }, 'no registry answers; passing the pull on')
      return resolution
    } catch (thrown) {
      const error = toResolveError(thrown)
      if (signal.aborted) throw error
      const { code, attempts } = error
      if (onResolveError() === 'passthrough') {
        log.warn({ image, code, attempts }, 'could not resolve; passing the pull on')
      }
      return error
    } finally {
      cancel()
      limit.release()
    }
  }

  /** What is no image here may be one for the runtime: it pulls that digest, or refuses. */
  async #fromFound(work: Work, { found }: ResolveError): Promise<Buffer | undefined> {
    const { candidates, reference, signal } = work
    const places = candidates.filter(
      (each) =>
        each.registry === found?.registry &&
        isPullable(each) &&
        // The origin consents to a digest, which it may not have been asked for here.
        (!needsConsent(each) || reference.digest === found?.digest),
    )
    if (found === undefined || places.length === 0) return undefined
    const named = isConverted(found) ? undefined : found.digest
    try {
      return await this.#fromBest(work, places, found, wantedNames(reference, named))
    } catch (failure) {
      if (signal.aborted || failure instanceof RuntimeLeft) throw failure
      return undefined
    }
  }

  /** @throws what the last place said; ResolveError UNAVAILABLE where there is none */
  async #fromBest(
    { pull, reference, said, signal }: Work,
    places: readonly Candidate[],
    found: Pulled,
    wanted?: readonly string[],
  ): Promise<Buffer> {
    const { log } = this.#options
    const image = canonicalName(reference)
    const { digest } = found
    let failure: unknown = notPullable(reference)
    for (const place of this.#failures.inOrder(places, digest)) {
      const { registry } = place
      const what = { image, registry, digest }
      const startedAt = this.#now()
      try {
        const pulled = await pull.from(place, reference, found, wanted)
        this.#failures.succeeded(registry, digest)
        log.info(what, 'pulled')
        return pulled
      } catch (thrown) {
        if (!signal.aborted && (await isRuntimeGone(thrown, this.#options.runtime))) {
          throw new RuntimeLeft(canonicalName(reference), { cause: thrown })
        }
        const isImpatient = signal.aborted && this.#now() - startedAt < PATIENCE_MS
        if (!isImpatient) this.#failures.failed(registry, digest)
        if (signal.aborted) throw thrown
        log.warn({ ...what, reason: reason(thrown) }, 'could not pull; trying the next')
        // Of the origin the runtime says the same in its own words, at the beginning.
        if (!place.origin) {
          const message = `the pull failed: ${reason(thrown)}`
          const ms = this.#now() - startedAt
          said.push({ registry, step: 'pull', outcome: 'server_error', ms, message })
        }
        failure = thrown
      }
    }
    throw failure
  }

  async #nameFromMirror({ candidates, reference, signal }: Work): Promise<Buffer | undefined> {
    const { log, names, runtime } = this.#options
    const image = canonicalName(reference)
    try {
      // An image of an untrusted mirror may have come for a caller that the origin had authorized.
      const trusted = candidates.filter(({ entry }) => entry?.trusted !== false)
      const named = await nameFromMirror(reference, trusted, runtime, names, signal)
      if (named === undefined) return undefined
      log.info({ image, from: named.from }, 'named what was on the node already')
      return pullResponse(named.imageId)
    } catch (thrown) {
      if (signal.aborted) throw thrown
      log.warn({ image, reason: reason(thrown) }, 'could not look for the image on the node')
      return undefined
    }
  }
}

/** undefined: nothing, an ID, or no reference; the runtime answers that. */
function namedBy(image: string): Reference | undefined {
  if (image === '' || isImageId(image)) return undefined
  try {
    return parseReference(image)
  } catch {
    return undefined
  }
}

function noAnswer({ attempts, candidates = [], reference }: Resolution): ResolveError {
  const message = `${reference}: no registry answers`
  const cause = new ResolveError('UNAVAILABLE', message, { attempts })
  return new UnresolvedError(candidates, { cause })
}

function cannotName(reference: Reference): ResolveError {
  const image = canonicalName(reference)
  const why = 'this runtime cannot name images, and `mirrorsOnly` forbids the origin'
  return new ResolveError('UNAVAILABLE', `${image}: ${why}`)
}

function notPullable(reference: Reference): ResolveError {
  const image = canonicalName(reference)
  const why = 'no registry that has it may be pulled from, and `mirrorsOnly` forbids the origin'
  return new ResolveError('UNAVAILABLE', `${image}: ${why}`)
}

function reason(thrown: unknown): string {
  if (isRuntimeError(thrown)) return thrown.details
  return thrown instanceof Error ? thrown.message : String(thrown)
}
