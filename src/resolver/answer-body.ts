import type { ResolveResponse } from '../../api/v1/resolve.ts'
import type { Answer } from './answer.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** The answer as HTTP and the command line give it: api/v1/resolve. */
export function toResolveResponse(answer: Answer, explain: boolean): ResolveResponse {
  return {
    requested: answer.requested,
    reference: answer.reference,
    imageId: answer.imageId,
    digest: answer.digest ?? null,
    manifestDigest: answer.manifestDigest ?? null,
    mediaType: answer.mediaType ?? null,
    platform: answer.platform,
    references: answer.references as Mutable<Answer['references']>,
    registry: answer.registry,
    source: answer.source,
    resolvedAt: new Date(answer.resolvedAt).toISOString(),
    expiresAt: answer.expiresAt === undefined ? null : new Date(answer.expiresAt).toISOString(),
    ...(answer.node === undefined ? {} : { node: answer.node }),
    ...(explain ? { attempts: [...answer.attempts] } : {}),
  }
}
