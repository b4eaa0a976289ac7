import type { Attempt } from '../errors.ts'
import type { ImagePlatform } from '../registry/image.ts'
import type { CandidateReport, RankedReference, Resolution } from './types.ts'

/** What every door says of a reference: a resolution, or what the node alone knows. */
export interface Answer {
  /** As the caller wrote it. */
  readonly requested: string
  readonly reference: string
  readonly imageId: string
  /** These three are unknown when only the node could answer and lists no digest. */
  readonly digest: string | undefined
  readonly manifestDigest: string | undefined
  readonly mediaType: string | undefined
  readonly platform: ImagePlatform
  readonly references: readonly RankedReference[]
  readonly registry: string
  readonly source: 'registry' | 'cache' | 'stale' | 'node'
  readonly resolvedAt: number
  readonly expiresAt: number | undefined
  readonly node?: { readonly present: boolean; readonly imageId?: string }
  readonly attempts: readonly Attempt[]
  /** The whole story of the walk behind it, as far as it is still known. */
  readonly candidates?: readonly CandidateReport[]
}

/** Field by field: spreading so large an object takes longer than the cache and the HTTP door. */
export function toAnswer(requested: string, resolution: Resolution): Answer {
  return {
    requested,
    reference: resolution.reference,
    imageId: resolution.imageId,
    digest: resolution.digest,
    manifestDigest: resolution.manifestDigest,
    mediaType: resolution.mediaType,
    platform: resolution.platform,
    references: resolution.references,
    registry: resolution.registry,
    source: resolution.source,
    resolvedAt: resolution.resolvedAt,
    expiresAt: resolution.expiresAt,
    attempts: resolution.attempts,
    candidates: resolution.candidates ?? [],
  }
}
