import type { Wait } from '../concurrency/semaphore.ts'
import {
  type Attempt,
  type AttemptOutcome,
  DEFAULT_WAIT_MS,
  type ErrorCode,
  ResolveError,
} from '../errors.ts'
import type { Candidate, Health } from './types.ts'

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
const NO_ANSWER: ReadonlySet<AttemptOutcome> = new Set([
  'unreachable',
  'server_error',
  'timeout',
  'rate_limited',
  'canceled',
  'skipped',
])

/** With these a registry refuses the image, or does not have it. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['UNAUTHORIZED', 'DENIED', 'MANIFEST_UNKNOWN'])

export function failedAttempt(registry: string, error: ResolveError, ms: number): Attempt {
  const outcome = OUTCOMES[error.code]
  return {
    registry,
    step: error.step ?? 'manifest',
    outcome: outcome === 'unreachable' && error.status !== undefined ? 'server_error' : outcome,
    ...(error.status === undefined ? {} : { status: error.status }),
    ms,
    message: error.message,
  }
}

/** What each registry said; the end of the message of a failed resolution. */
export function attemptsText(attempts: readonly Attempt[]): string {
  return attempts.map(tell).join('; ')
}

/** How long a candidate has waited without being asked. */
export function waited(ms: number, what: Wait = 'in line'): string {
  return `waited ${(ms / 1_000).toFixed(1)} s ${what}`
}

/** The error of a registry that used up its budget. */
export function lateError(budgetMs: number): ResolveError {
  return new ResolveError('DEADLINE_EXCEEDED', `no answer within ${budgetMs} ms`)
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

/** Whether the address policy forbade the connection, so that the registry was not asked. */
export function isNotDialled({ outcome, status, step }: Attempt): boolean {
  return outcome === 'denied' && step === 'connect' && status === undefined
}

export function isRefusal(code: ErrorCode | undefined): boolean {
  return code !== undefined && REFUSALS.has(code)
}

/**
 * Reports an error to the health of its registry. A refusal shows that the registry works; one that cannot be
 * reached is at fault itself; for any other failure the repository alone may be.
 */
export function reportHealth(
  health: Health,
  { repository }: Candidate,
  { ms, outcome, registry }: Attempt,
  { code, message, retryAfterMs = DEFAULT_WAIT_MS, step }: ResolveError,
): void {
  if (!UNHEALTHY.has(outcome)) {
    health.success(registry, { ms, repository })
    return
  }
  health.failure(registry, {
    code,
    message,
    ...(outcome === 'rate_limited' && { retryAfterMs }),
    ...(step !== 'connect' && { repository }),
  })
}

/** Most messages of the registry client begin with the host, which mostly is the name. */
function tell({ registry, message, outcome }: Attempt): string {
  if (message?.startsWith(`${registry}:`)) return message
  return `${registry}: ${message ?? outcome}`
}
