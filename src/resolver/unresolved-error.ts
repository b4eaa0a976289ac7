import {
  type Attempt,
  type AttemptOutcome,
  DEFAULT_WAIT_MS,
  type ErrorCode,
  type FoundManifest,
  ResolveError,
  toResolveError,
} from '../errors.ts'
import type { Candidate, CandidateReport, Health, Resolution } from './types.ts'

const OUTCOMES: Record<ErrorCode, AttemptOutcome> = {
  NAME_INVALID: 'invalid',
  PLATFORM_INVALID: 'invalid',
  MANIFEST_UNKNOWN: 'not_found',
  PLATFORM_UNKNOWN: 'not_found',
  UNAUTHORIZED: 'unauthorized',
  DENIED: 'denied',
  TOOMANYREQUESTS: 'rate_limited',
  UNSUPPORTED: 'unsupported',
  NOT_AN_IMAGE: 'unsupported',
  DIGEST_INVALID: 'invalid',
  MANIFEST_INVALID: 'invalid',
  UNAVAILABLE: 'unreachable',
  DEADLINE_EXCEEDED: 'timeout',
  CANCELED: 'canceled',
  CONFIG_INVALID: 'invalid',
  UNKNOWN: 'server_error',
}

/** After these the registry itself may be at fault, and not only the image. */
const UNHEALTHY: ReadonlySet<AttemptOutcome> = new Set([
  'unreachable',
  'server_error',
  'timeout',
  'rate_limited',
])

/** After these nothing is known of the image at the registry. */
const NO_ANSWER: ReadonlySet<AttemptOutcome> = new Set([...UNHEALTHY, 'canceled', 'skipped'])

/** With these a registry works, and does not give the image. */
const DENIALS: ReadonlySet<AttemptOutcome> = new Set(['not_found', 'unauthorized', 'denied'])

/** With these a registry refuses the image, or does not have it. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'DENIED', 'MANIFEST_UNKNOWN'])

/** What each registry said; the end of the message of a failed resolution. */
export function attemptsText(attempts: readonly Attempt[]): string {
  return attempts.map(tell).join('; ')
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

export function isDenial(attempt: Attempt): boolean {
  return DENIALS.has(attempt.outcome) && !isNotDialled(attempt)
}

/** Whether the address policy forbade the connection, so that the registry was not asked. */
function isNotDialled({ outcome, status, step }: Attempt): boolean {
  return outcome === 'denied' && step === 'connect' && status === undefined
}

export function isRefusal(code: ErrorCode | undefined): boolean {
  return code !== undefined && REFUSALS.has(code)
}

/** Whether every registry was asked, and none has it. */
export function isAbsence({ code, attempts }: ResolveError): boolean {
  if (code !== 'MANIFEST_UNKNOWN' && code !== 'PLATFORM_UNKNOWN') return false
  return attempts.length > 0 && attempts.every(({ outcome }) => outcome === 'not_found')
}

/**
 * Reports a failure to the health of its registry. A refusal shows that the registry works; one that cannot be
 * reached is at fault itself; for any other failure the repository alone may be.
 *
 * @param ms how long it was asked
 */
export function reportFailure(
  health: Health,
  { registry, repository }: Candidate,
  error: ResolveError,
  ms: number,
): Attempt {
  const { code, message, retryAfterMs = DEFAULT_WAIT_MS, status, step } = error
  const isAnswered = code === 'UNAVAILABLE' && status !== undefined
  const outcome = isAnswered ? 'server_error' : OUTCOMES[code]
  if (UNHEALTHY.has(outcome)) {
    health.failure(registry, {
      code,
      message,
      ...(outcome === 'rate_limited' && { retryAfterMs }),
      ...(step !== 'connect' && { repository }),
    })
  } else health.success(registry, { ms, repository })
  const at = { registry, step: step ?? 'manifest', outcome }
  return { ...at, ...(status !== undefined && { status }), ms, message }
}

/** Most messages of the registry client begin with the host, which mostly is the name. */
function tell({ registry, message, outcome }: Attempt): string {
  if (message?.startsWith(`${registry}:`)) return message
  return `${registry}: ${message ?? outcome}`
}

/**
 * The most telling code first: failures that pass and say when, failures that may pass, failures that an
 * operator has to mend, and last that the image is not there. "Not found" is the answer only when every
 * registry said so: a broken registry may be the one that has the image.
 */
const TELLING: readonly ErrorCode[] = [
  'TOOMANYREQUESTS',
  'DEADLINE_EXCEEDED',
  'UNAVAILABLE',
  'UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_INVALID',
  'UNSUPPORTED',
  'NOT_AN_IMAGE',
  'DENIED',
  'UNAUTHORIZED',
  'PLATFORM_UNKNOWN',
  'MANIFEST_UNKNOWN',
]

/** The error of a resolution, with what became of every candidate. */
export class UnresolvedError extends ResolveError {
  readonly candidates: readonly CandidateReport[]

  /** @param details `cause`: what ended the resolution; its code, message and attempts are taken over */
  constructor(candidates: readonly CandidateReport[], details: { readonly cause: unknown }) {
    const cause = toResolveError(details.cause)
    const { attempts, code, found, message, retryAfterMs, status, step } = cause
    super(code, message, { attempts, cause, found, retryAfterMs, status, step })
    this.candidates = candidates
  }
}

/** What became of every candidate; empty where this call asked no registry. */
export function candidatesOf(error: ResolveError): readonly CandidateReport[] {
  return error instanceof UnresolvedError ? error.candidates : []
}

/**
 * One error for a resolution in which no candidate had the image.
 *
 * @param errors of the candidates that count; the most telling code is the code of the whole
 * @param found what a registry has although it is no image
 */
export function unresolvedError(
  what: string,
  errors: readonly ResolveError[],
  attempts: readonly Attempt[],
  found?: FoundManifest,
): ResolveError {
  const code = TELLING.find((telling) => errors.some((error) => error.code === telling))
  const waits = errors.flatMap((error) => error.retryAfterMs ?? [])
  return new ResolveError(code ?? 'UNAVAILABLE', `${what}: ${attemptsText(attempts)}`, {
    attempts,
    cause: errors.find((error) => error.code === code),
    found,
    retryAfterMs: waits.length > 0 ? Math.min(...waits) : undefined,
  })
}

/**
 * Whether registries were asked and every one of them was out of reach. One that refused the image
 * (401, 403), does not have it (404), or has something else has answered: what lies on the node is then
 * no answer instead.
 *
 * @param reports default: those of the error itself
 */
export function isOutOfReach(
  error: ResolveError,
  reports: readonly Pick<CandidateReport, 'error' | 'outcome'>[] = candidatesOf(error),
): boolean {
  const { attempts } = error
  return (
    attempts.length > 0 && attempts.every((attempt) => hasNoAnswer(attempt)) && !isBarred(reports)
  )
}

/**
 * Whether a former answer may be given in place of this error, with which a registry may well have the image: as
 * `isOutOfReach`, but a registry that did not have the image then either says nothing new by a 404, and none need have
 * been asked before time was up.
 */
export function allowsStale(error: ResolveError, former: Resolution): boolean {
  const isOld = (attempt: Attempt): boolean =>
    hasNoAnswer(attempt) || (attempt.outcome === 'not_found' && !hadImage(former, attempt.registry))
  const mayHaveIt = UNHEALTHY.has(OUTCOMES[error.code])
  return mayHaveIt && error.attempts.every(isOld) && !isBarred(candidatesOf(error))
}

/**
 * Whether a registry had the image of a former answer, as far as is known: it did not only if it said so, or
 * if its tag pointed at another digest. After a restart only the places of the answer are known.
 */
function hadImage({ candidates = [], references, registry }: Resolution, name: string): boolean {
  const report = candidates.find((each) => each.registry === name)
  if (report !== undefined) return report.outcome !== 'not_found' && report.divergent !== true
  return name === registry || references.some((each) => each.registry === name)
}

/** Whether a registry was not asked because its origin refused the image. */
function isBarred(reports: readonly Pick<CandidateReport, 'error' | 'outcome'>[]): boolean {
  return reports.some(({ error, outcome }) => outcome === 'skipped' && isRefusal(error?.code))
}

/** Whether the address policy forbade the connection to a registry. */
export function isUndialled({ attempts }: ResolveError): boolean {
  return attempts.some(isNotDialled)
}
