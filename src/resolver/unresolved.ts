import {
  type Attempt,
  type AttemptOutcome,
  type ErrorCode,
  ResolveError,
  toResolveError,
} from '../errors.ts'
import type { CandidateReport, Resolution } from './types.ts'

/** The error of a resolution, with what became of every candidate. */
export class UnresolvedError extends ResolveError {
  readonly candidates: readonly CandidateReport[]

  /** @param details `cause`: what ended the resolution, whose code, message and attempts it takes over */
  constructor(candidates: readonly CandidateReport[], details: { readonly cause: unknown }) {
    const cause = toResolveError(details.cause)
    const { attempts, code, found, message, retryAfterMs, status, step } = cause
    super(code, message, {
      attempts,
      cause,
      ...(step !== undefined && { step }),
      ...(status !== undefined && { status }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(found !== undefined && { found }),
    })
    this.candidates = candidates
  }
}

/** The whole story of what ended in an error; empty where no registry was asked by that very call. */
export function storyOf(error: ResolveError): readonly CandidateReport[] {
  return error instanceof UnresolvedError ? error.candidates : []
}

/** After these nothing is known of the image there. */
const NO_ANSWER: ReadonlySet<AttemptOutcome> = new Set([
  'unreachable',
  'server_error',
  'timeout',
  'rate_limited',
  'canceled',
  'skipped',
])

/** What kept a registry from being asked may itself be an answer: the origin refused its consent. */
const REFUSED: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'DENIED', 'MANIFEST_UNKNOWN'])

/**
 * Whether registries were asked and every one of them was out of reach. One that refused the image
 * (401, 403), does not have it (404), or has something else has answered, and what lies on the node is
 * then no answer instead.
 *
 * @param reports default: those that the error itself brings
 */
export function isOutOfReach(
  error: ResolveError,
  reports: readonly Pick<CandidateReport, 'error' | 'outcome'>[] = storyOf(error),
): boolean {
  const { attempts } = error
  return (
    attempts.length > 0 && attempts.every((attempt) => hasNoAnswer(attempt)) && !isBarred(reports)
  )
}

/** With these a registry may well have the image; what was known before is then worth giving. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'TOOMANYREQUESTS',
  'DEADLINE_EXCEEDED',
  'UNAVAILABLE',
  'UNKNOWN',
])

/**
 * Whether a former answer may be given in place of this error: as `isOutOfReach`, but a registry to which the
 * former answer does not lead says nothing new by not having the image, and none need have been asked before
 * time was up.
 */
export function allowsStale(error: ResolveError, { references, registry }: Resolution): boolean {
  const leadsTo = (name: string): boolean =>
    name === registry || references.some((each) => each.registry === name)
  const isOld = (attempt: Attempt): boolean =>
    hasNoAnswer(attempt) || (attempt.outcome === 'not_found' && !leadsTo(attempt.registry))
  return PASSING.has(error.code) && error.attempts.every(isOld) && !isBarred(storyOf(error))
}

/** Whether a registry was not asked since its origin refused the image. */
function isBarred(reports: readonly Pick<CandidateReport, 'error' | 'outcome'>[]): boolean {
  return reports.some(({ error, outcome }) => outcome === 'skipped' && isRefusal(error?.code))
}

/** Whether a registry was not asked because its address is never dialled from here. */
export function isUndialled({ attempts }: ResolveError): boolean {
  return attempts.some(isNotDialled)
}

/**
 * Whether nothing is known of the image at a registry.
 *
 * @param error of one that was not asked: a refusal by its origin is an answer
 */
export function hasNoAnswer(attempt: Attempt, error?: ResolveError): boolean {
  if (attempt.outcome === 'skipped' && isRefusal(error?.code)) return false
  return NO_ANSWER.has(attempt.outcome) || isNotDialled(attempt)
}

/** Whether its address is never dialled from here, so that the registry was not asked. */
export function isNotDialled({ outcome, status, step }: Attempt): boolean {
  return outcome === 'denied' && step === 'connect' && status === undefined
}

function isRefusal(code: ErrorCode | undefined): boolean {
  return code !== undefined && REFUSED.has(code)
}
