import type { NodeImage, ResolveResponse } from '../../api/v1/resolve.ts'
import type { Answer } from './answer.ts'
import { toAttemptBody } from './attempt-body.ts'
import { toCandidateBody } from './candidate-body.ts'

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
