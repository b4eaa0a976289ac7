import { type ErrorCode, ResolveError, toResolveError } from '../errors.ts'
import type { ObserveExchange } from '../registry/image.ts'
import type { AskOptions, CandidateCall } from './candidate-request.ts'
import { needsConsent } from './candidates.ts'
import { askOne } from './failover.ts'
import { ResolveTrace } from './trace.ts'
import type { Candidate, Health } from './types.ts'
import { isRefusal } from './unresolved-error.ts'

export interface OriginAuthorizationOptions
  extends Pick<AskOptions<unknown>, 'clock' | 'limits' | 'signal' | 'urgent'> {
  /** undefined: `mirrorsOnly` rules it out. */
  readonly origin: Candidate | undefined
  /** One HEAD at the origin. */
  readonly ask: (call: CandidateCall) => Promise<Descriptor>
  readonly observer: (candidate: Candidate, registry: string) => ObserveExchange
  readonly health: Health
}

type Descriptor = { readonly digest: string }

/**
 * The consent of an origin: whether it gives its image to this caller, and which digest that is. A mirror that is
 * not trusted is asked for that digest alone, whatever it has under the tag. A kubelet records which pull secret
 * an image was pulled with, and gives an image that was pulled without one to every pod (KEP-2535), so a mirror with
 * credentials of its own must not decide. The origin is asked once for all mirrors that need it, when the first of
 * them is to be asked.
 */
export class OriginAuthorization {
  readonly #options: OriginAuthorizationOptions
  #given: Promise<string> | undefined
  #digest: string | undefined

  constructor(options: OriginAuthorizationOptions) {
    this.#options = options
  }

  /** The digest that the origin names; undefined: it was not asked, or refused. */
  get digest(): string | undefined {
    return this.#digest
  }

  /**
   * @returns undefined for a candidate that needs no consent; else the digest that the origin consents to
   * @throws ResolveError with the reason of a refusal
   */
  readonly authorize = (candidate: Candidate): Promise<string> | undefined => {
    if (!needsConsent(candidate)) return undefined
    this.#given ??= this.#ask(candidate)
    return this.#given
  }

  async #ask(candidate: Candidate): Promise<string> {
    const { ask, clock, health, observer, origin, signal } = this.#options
    if (origin === undefined) {
      throw barred('UNAVAILABLE', '`mirrorsOnly` forbids asking its origin, which has to agree')
    }
    const trace = new ResolveTrace<Descriptor>(origin.pullName, [origin], health, clock)
    const own = trace.of(origin)
    if (!own.admit()) {
      throw barred('UNAVAILABLE', 'its origin, which has to agree, failed a moment ago')
    }
    const observed = observer(candidate, origin.registry)
    const observe: ObserveExchange = (exchange, rateLimit) => {
      if (exchange.status !== undefined) own.progress()
      observed(exchange, rateLimit)
    }
    // With the caller's credentials, or none; never with the operator's.
    const { credentials } = origin
    await askOne(
      origin,
      'lastResort',
      (_origin, call) => ask({ ...call, credentials, observe }).catch(digestOfAny),
      { ...this.#options, trace },
    )
    if (own.answer !== undefined) {
      this.#digest = own.answer.digest
      return own.answer.digest
    }
    if (signal.aborted) throw toResolveError(signal.reason)
    if (own.error !== undefined) throw refusal(own.error, origin)
    // Candidates that need no authorization may have answered long since.
    const why = `its origin, which has to agree, is asked by many: ${own.unasked}`
    throw barred('DEADLINE_EXCEEDED', why)
  }
}

/** Consent to an artifact is consent as well; that it is no image the mirror will say. */
function digestOfAny(thrown: unknown): Descriptor {
  if (thrown instanceof ResolveError && thrown.found !== undefined) return thrown.found
  throw thrown
}

function refusal(error: ResolveError, origin: Candidate): ResolveError {
  if (!isRefusal(error.code)) {
    return barred(error.code, `its origin, which has to agree, did not answer: ${error.message}`)
  }
  const caller =
    origin.credentials === undefined ? 'requests without credentials' : 'these credentials'
  return barred(error.code, `its origin does not give the image to ${caller}`, error)
}

/** Has the code of the origin: without its consent the image is not there at the mirror either. */
export function barred(code: ErrorCode, why: string, cause?: ResolveError): ResolveError {
  return new ResolveError(code, `not asked: it is not trusted, and ${why}`, { cause })
}
