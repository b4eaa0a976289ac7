import { abortable } from '../concurrency/abortable.ts'
import type { Clock } from '../concurrency/clock.ts'
import type { Ticket } from '../concurrency/semaphore.ts'
import { type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import type { Exchange } from '../registry/image.ts'
import { failedAttempt, lateError, reportHealth, waited } from './attempt.ts'
import { needsConsent } from './candidates.ts'
import type { Candidate, Health } from './types.ts'

export interface OriginAuthorizationOptions {
  /** Absent where `mirrorsOnly` rules it out. */
  readonly origin: Candidate | undefined
  /**
   * One HEAD at the origin with the caller's credentials, or none; never with the operator's.
   *
   * @returns what the reference points at there
   */
  readonly ask: (
    origin: Candidate,
    signal: AbortSignal,
    ticket: Ticket,
    observe: (exchange: Exchange) => void,
  ) => Promise<{ readonly digest: string }>
  readonly observer: (candidate: Candidate, registry: string) => (exchange: Exchange) => void
  readonly health: Health
  readonly clock: Clock
  readonly budgetMs: number
  readonly signal: AbortSignal
}

/** With these the origin has judged; with others it was not to be had. */
const REFUSED: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'DENIED', 'MANIFEST_UNKNOWN'])

/**
 * Whether the origin gives its image to this caller, and which one that is: a mirror that is not trusted
 * is asked for that digest alone, whatever it has under the tag. A kubelet takes an image that came for a pod's
 * secret as one which that secret opens, and one that came without as open to every pod
 * (KEP-2535), so a mirror with credentials of its own must not be the one to judge. It is asked once
 * for all that need it, when the first of them is to be asked.
 */
export class OriginAuthorization {
  readonly #options: OriginAuthorizationOptions
  #given: Promise<string> | undefined
  #digest: string | undefined

  constructor(options: OriginAuthorizationOptions) {
    this.#options = options
  }

  /** What the reference points at by the word of its origin; undefined: it was not asked, or refused. */
  get digest(): string | undefined {
    return this.#digest
  }

  /**
   * @returns undefined for a candidate that needs none; else the digest that was consented to
   * @throws ResolveError with why consent was not given
   */
  readonly authorize = (candidate: Candidate): Promise<string> | undefined => {
    if (!needsConsent(candidate)) return undefined
    this.#given ??= this.#ask(candidate)
    return this.#given
  }

  async #ask(candidate: Candidate): Promise<string> {
    const { budgetMs, clock, health, observer, origin, signal } = this.#options
    if (origin === undefined) {
      throw barred('UNAVAILABLE', '`mirrorsOnly` forbids asking its origin, which has to agree')
    }
    const { registry, repository } = origin
    if (!health.admit(registry, repository)) {
      throw barred('UNAVAILABLE', 'its origin, which has to agree, failed a moment ago')
    }
    let begunAt = clock.now()
    let isQueued = false
    let cancel = (): void => {}
    const late = new AbortController()
    const count = (): void => {
      cancel()
      if (!ends.aborted) cancel = clock.after(budgetMs, () => late.abort(lateError(budgetMs)))
    }
    const ends = AbortSignal.any([signal, late.signal])
    const begin = (): void => {
      begunAt = clock.now()
      count()
    }
    const observed = observer(candidate, registry)
    const observe = (exchange: Exchange): void => {
      if (exchange.status !== undefined) count()
      observed(exchange)
    }
    const ticket: Ticket = {
      waiting: () => {
        isQueued = true
      },
      entered: () => {
        isQueued = false
        begin()
      },
    }
    begin()
    try {
      const asking = this.#options.ask(origin, ends, ticket, observe)
      const { digest } = await abortable(asking.catch(digestOfAny), ends)
      health.success(registry, { ms: clock.now() - begunAt, repository })
      this.#digest = digest
      return digest
    } catch (thrown) {
      const error = toResolveError(thrown)
      if (signal.aborted) throw error
      // In line no longer than that: whoever needs no consent may have answered long since.
      if (isQueued) {
        const why = `its origin, which has to agree, is asked by many: ${waited(clock.now() - begunAt)}`
        throw barred('DEADLINE_EXCEEDED', why)
      }
      reportHealth(health, origin, failedAttempt(registry, error, clock.now() - begunAt), error)
      throw refusal(error, origin)
    } finally {
      cancel()
    }
  }
}

/** Consent to what is no image is consent all the same; that a mirror has nothing else is for it to say. */
function digestOfAny(thrown: unknown): { readonly digest: string } {
  if (thrown instanceof ResolveError && thrown.found !== undefined) return thrown.found
  throw thrown
}

function refusal(error: ResolveError, origin: Candidate): ResolveError {
  if (!REFUSED.has(error.code)) {
    return barred(error.code, `its origin, which has to agree, did not answer: ${error.message}`)
  }
  const who = origin.credentials === undefined ? 'anybody without credentials' : 'these credentials'
  return barred(error.code, `its origin does not give the image to ${who}`, error)
}

/** The origin's own code: an image that it does not have is not there, and no mirror changes that. */
export function barred(code: ErrorCode, why: string, cause?: ResolveError): ResolveError {
  const message = `not asked: it is not trusted, and ${why}`
  return new ResolveError(code, message, cause === undefined ? {} : { cause })
}
