import { type Attempt, DEFAULT_WAIT_MS, type ResolveError } from '../errors.ts'
import { UNHEALTHY } from './attempt.ts'
import type { Candidate, Health } from './types.ts'

/**
 * Tells what an error means for the registry it came from. A refusal shows one that works; one that
 * cannot be reached is at fault itself; whatever else went wrong may be for this repository alone.
 */
export function reportFailure(
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
