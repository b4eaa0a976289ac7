import type { Wait } from '../concurrency/semaphore.ts'
import {
  type Attempt,
  type AttemptOutcome,
  DEFAULT_WAIT_MS,
  type ErrorCode,
  type FoundManifest,
  ResolveError,
  toResolveError,
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

/** After these the registry itself is in doubt, not only this image. */
export const UNHEALTHY: ReadonlySet<AttemptOutcome> = new Set([
  'unreachable',
  'server_error',
  'timeout',
  'rate_limited',
])

/**
 * Most telling first: what passes by itself and says when, then what may pass, then what an
 * operator must mend, last what is simply not there. "Not found" is the answer only when every
 * registry said so; one broken registry may be the one that has the image.
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

const BUSY = 'so many questions were put at once; ask again, or fewer at a time'

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

/**
 * One error for a resolution in which no candidate had the image.
 *
 * @param artifact what was found and is no image, where no registry before it can still have the image: that
 * is the answer, whatever befell the registries after it
 */
export function walkError(
  what: string,
  errors: readonly unknown[],
  attempts: readonly Attempt[],
  found?: FoundManifest,
  artifact?: ResolveError,
): ResolveError {
  const failures = artifact === undefined ? errors.map(toResolveError) : [artifact]
  const code = TELLING.find((telling) => failures.some((error) => error.code === telling))
  const waits = failures.flatMap((error) => error.retryAfterMs ?? [])
  return new ResolveError(code ?? 'UNAVAILABLE', `${what}: ${attemptsText(attempts)}`, {
    attempts,
    cause: failures.find((error) => error.code === code),
    ...(found !== undefined && { found }),
    ...(waits.length === 0 ? {} : { retryAfterMs: Math.min(...waits) }),
  })
}

/** What each registry said, as the message of a failed resolution ends. */
export function attemptsText(attempts: readonly Attempt[]): string {
  return attempts.map(tell).join('; ')
}

/**
 * For a resolution that its signal ended.
 *
 * @param waits where it still waited then, in the words of `waited`
 */
export function endedError(
  what: string,
  reason: unknown,
  attempts: readonly Attempt[],
  waits: readonly string[],
  found?: FoundManifest,
): ResolveError {
  const ending = toResolveError(reason)
  const code = ending.code === 'DEADLINE_EXCEEDED' ? ending.code : 'CANCELED'
  const why = code === 'CANCELED' ? 'the caller went away' : 'out of time'
  const busy = waits.some((wait) => wait.endsWith(' in line')) ? [BUSY] : []
  const line = code === 'CANCELED' ? '' : [...waits, ...busy].map((each) => `; ${each}`).join('')
  return new ResolveError(code, `${what}: ${why}${line}`, {
    cause: ending,
    attempts,
    ...(found !== undefined && { found }),
  })
}

/** For one that was not asked in time. */
export function waited(ms: number, what: Wait = 'in line'): string {
  return `waited ${(ms / 1_000).toFixed(1)} s ${what}`
}

/** For a registry that did not answer within its budget. */
export function lateError(budgetMs: number): ResolveError {
  return new ResolveError('DEADLINE_EXCEEDED', `no answer within ${budgetMs} ms`)
}

/** The registry client begins with the host by itself, which mostly is the name. */
function tell({ registry, message, outcome }: Attempt): string {
  if (message?.startsWith(`${registry}:`)) return message
  return `${registry}: ${message ?? outcome}`
}

/**
 * Tells what an error means for the registry it came from. A refusal shows one that works; one that
 * cannot be reached is at fault itself; whatever else went wrong may be for this repository alone.
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
