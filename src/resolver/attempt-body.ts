import type { Attempt as AttemptBody } from '../../api/v1/attempt.ts'
import type { FoundManifest as FoundBody } from '../../api/v1/error.ts'
import type { Attempt, FoundManifest } from '../errors.ts'

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

export function toFoundBody(found: FoundManifest): FoundBody {
  const { artifactType, registry } = found
  return {
    digest: found.digest,
    mediaType: found.mediaType,
    size: found.size,
    ...(artifactType !== undefined && { artifactType }),
    ...(registry !== undefined && { registry }),
  }
}
