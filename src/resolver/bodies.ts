import type { Attempt as AttemptBody } from '../../api/v1/attempt.ts'
import type {
  Candidate as CandidateBody,
  Exchange as ExchangeBody,
} from '../../api/v1/candidate.ts'
import type { FoundManifest as FoundBody } from '../../api/v1/error.ts'
import type { NodeImage, ResolveResponse } from '../../api/v1/resolve.ts'
import type { Attempt, FoundManifest } from '../errors.ts'
import type { Exchange } from '../registry/image.ts'
import type { Answer, CandidateReport } from './types.ts'

/**
 * Field by field, all the way down: nothing else that an answer may carry is ever told.
 *
 * @param candidates also tell of every candidate; with `explain` that is so anyway
 */
export function toResolveResponse(
  answer: Answer,
  explain: boolean,
  candidates = explain,
): ResolveResponse {
  const { resolvedAt, expiresAt, platform, node } = answer
  return {
    requested: answer.requested,
    reference: answer.reference,
    imageId: answer.imageId,
    digest: answer.digest ?? null,
    manifestDigest: answer.manifestDigest ?? null,
    mediaType: answer.mediaType ?? null,
    platform: {
      os: platform.os,
      architecture: platform.architecture,
      ...(platform.variant !== undefined && { variant: platform.variant }),
      ...(platform.assumed && { assumed: true }),
    },
    references: answer.references.map((each) => ({
      reference: each.reference,
      kind: each.kind,
      registry: each.registry,
      priority: each.priority,
      verified: each.verified,
    })),
    registry: answer.registry,
    source: answer.source,
    resolvedAt: new Date(resolvedAt).toISOString(),
    expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
    ...(node !== undefined && { node: toNode(node) }),
    ...(explain && { attempts: answer.attempts.map(toAttemptBody) }),
    ...(candidates && { candidates: (answer.candidates ?? []).map(toCandidateBody) }),
  }
}

function toNode(node: NonNullable<Answer['node']>): NodeImage {
  return {
    present: node.present,
    ...(node.imageId !== undefined && { imageId: node.imageId }),
  }
}

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

/** Field by field: nothing else that a report may carry is ever told. */
export function toCandidateBody(report: CandidateReport): CandidateBody {
  const { digest, divergent, startedMs, ms, error } = report
  return {
    registry: report.registry,
    reference: report.reference,
    priority: report.priority,
    origin: report.origin,
    chosen: report.chosen,
    outcome: report.outcome,
    why: report.why,
    ...(digest !== undefined && { digest }),
    ...(divergent !== undefined && { divergent }),
    ...(startedMs !== undefined && { startedMs }),
    ...(ms !== undefined && { ms }),
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
    exchanges: report.exchanges.map(toExchangeBody),
  }
}

function toExchangeBody({ method, url, status, ms, rateLimit, warning }: Exchange): ExchangeBody {
  return {
    method,
    url,
    ...(status !== undefined && { status }),
    ms,
    ...(rateLimit !== undefined && { remaining: rateLimit.remaining }),
    ...(warning !== undefined && { warning }),
  }
}
