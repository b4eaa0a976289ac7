import type { Attempt as AttemptBody } from '../../api/v1/attempt.ts'
import type { Attempt } from '../errors.ts'

/** Field by field: nothing else that an attempt may carry is ever told. */
export function toAttemptBody(attempt: Attempt): AttemptBody {
  const { status, message } = attempt
  return {
    registry: attempt.registry,
    step: attempt.step,
    outcome: attempt.outcome,
    ...(status !== undefined && { status }),
    ms: attempt.ms,
    ...(message !== undefined && { message }),
  }
}
