import { type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import type { Exchange } from '../registry/image.ts'
import { failedAttempt, lateError } from './attempt.ts'
import { needsConsent } from './candidates.ts'
import type { Clock } from './clock.ts'
import { reportFailure } from './record.ts'
import type { Candidate, Health } from './types.ts'
import { until } from './until.ts'

export interface ConsentOptions {
  /** Absent where `mirrorsOnly` rules it out. */
  readonly origin: Candidate | undefined
  /** One HEAD at the origin with the caller's credentials, or none; never with the operator's. */
  readonly ask: (
    origin: Candidate,
    signal: AbortSignal,
    observe: (exchange: Exchange) => void,
  ) => Promise<unknown>
  readonly observer: (candidate: Candidate, registry: string) => (exchange: Exchange) => void
  readonly health: Health
  readonly clock: Clock
  readonly budgetMs: number
  readonly signal: AbortSignal
}

/** With these the origin has judged; with others it was not to be had. */
const REFUSED: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'DENIED', 'MANIFEST_UNKNOWN'])

/**
 * Whether the origin gives its image to this caller. A kubelet takes an image that came for a pod's
 * secret as one which that secret opens, and one that came without as open to every pod
 * (KEP-2535), so a mirror with credentials of its own must not be the one to judge. It is asked once
 * for all that need it, when the first of them is to be asked.
 */
export class Consent {
  readonly #options: ConsentOptions
  #given: Promise<void> | undefined

  constructor(options: ConsentOptions) {
    this.#options = options
  }

  /** @returns undefined for a candidate that needs none; else it rejects with why it was not given */
  readonly gate = (candidate: Candidate): Promise<void> | undefined => {
    if (!needsConsent(candidate)) return undefined
    this.#given ??= this.#ask(candidate)
    return this.#given
  }

  async #ask(candidate: Candidate): Promise<void> {
    const { budgetMs, clock, health, observer, origin, signal } = this.#options
    if (origin === undefined) {
      throw barred('UNAVAILABLE', '`mirrorsOnly` forbids asking its origin, which has to agree')
    }
    const { registry } = origin
    if (!health.admit(registry)) {
      throw barred('UNAVAILABLE', 'its origin, which has to agree, failed a moment ago')
    }
    const begunAt = clock.now()
    const late = new AbortController()
    const cancel = clock.after(budgetMs, () => late.abort(lateError(budgetMs)))
    try {
      const ends = AbortSignal.any([signal, late.signal])
      await until(ends, this.#options.ask(origin, ends, observer(candidate, registry)))
      health.success(registry, { ms: clock.now() - begunAt })
    } catch (thrown) {
      const error = toResolveError(thrown)
      if (signal.aborted) throw error
      reportFailure(health, failedAttempt(registry, error, clock.now() - begunAt), error)
      throw refusal(error, origin)
    } finally {
      cancel()
    }
  }
}

function refusal(error: ResolveError, origin: Candidate): ResolveError {
  if (!REFUSED.has(error.code)) {
    return barred(error.code, `its origin, which has to agree, did not answer: ${error.message}`)
  }
  const who = origin.credentials === undefined ? 'anybody without credentials' : 'these credentials'
  return barred(error.code, `its origin does not give the image to ${who}`, error)
}

/** The origin's own code: an image that it does not have is not there, and no mirror changes that. */
function barred(code: ErrorCode, why: string, cause?: ResolveError): ResolveError {
  const message = `not asked: it is not trusted, and ${why}`
  return new ResolveError(code, message, cause === undefined ? {} : { cause })
}
