import { CONFIG_DEFAULTS } from '../../../api/v1/config-defaults.ts'
import type { Clock } from '../../concurrency/clock.ts'
import type { Reference } from '../../reference/reference.ts'
import type { Content, ContentRequest } from '../../registry/content.ts'
import type { Credentials } from '../../registry/credentials.ts'
import type { ImageRequest } from '../../registry/image.ts'
import type { Names, TagsRequest } from '../../registry/listing.ts'
import type { ManifestHead, ManifestRequest, RawManifest } from '../../registry/manifest-fetcher.ts'
import type { Candidate, Health, Resolution } from '../../resolver/types.ts'
import type { Logger } from '../../telemetry/log.ts'

/** The resolver as the mirror endpoint sees it. */
export interface MirrorResolver {
  /** Every registry where the repository may be found, in the order of asking. */
  candidates(reference: Reference): readonly Candidate[]
  credentials(candidate: Candidate): Promise<Credentials | undefined>
  /** How long a registry may be silent before the next one is asked in its place. */
  readonly probeBudgetMs: number
  resolve(
    reference: Reference,
    options: { readonly signal: AbortSignal; readonly refresh: boolean },
  ): Promise<Pick<Resolution, 'digest' | 'mediaType' | 'size'>>
}

/** Registries as the mirror endpoint sees them. */
export interface MirrorSource {
  open(request: ImageRequest, content: ContentRequest): Promise<Content>
  head(request: ManifestRequest): Promise<ManifestHead | RawManifest>
  tags(request: TagsRequest): Promise<Names>
}

export interface MirrorOptions {
  readonly resolver: MirrorResolver
  readonly source: MirrorSource
  /** The same as the resolver's, so that failures which one meets count for the other. */
  readonly health: Health
  readonly logger: Pick<Logger, 'warn' | 'error'>
  /** What we are called in `Via` when we ask registries; default: nothing. */
  readonly via?: string
  readonly clock?: Clock
  readonly limits?: Partial<MirrorLimits>
}

/**
 * What bounds a request of `/v2/`, beside the limits of every HTTP client (../limits.ts) and the time that a
 * registry may be silent (registry/transport/transport.ts). A blob that moves has no limit of size or time.
 */
export interface MirrorLimits {
  /** How long a registry may be silent before the next one is asked in its place. Default: the resolver's. */
  readonly probeBudgetMs?: number
  /** Until the head of an answer; bodies take as long as they take. Default 20000. */
  readonly totalMs: number
  /** How long a client may leave what it was sent unread. Default 60000. */
  readonly silenceMs: number
  /** Blobs under way at once, the others queued. Default: as configured without a file. */
  readonly blobs: number
  /** Of these to one client, as clientKey tells them apart. Default: as configured without a file. */
  readonly blobsPerClient: number
  /** How long a request may be queued. Default 120000: containerd ends a pull after 5 minutes without a byte. */
  readonly blobWaitMs: number
}

export const DEFAULT_LIMITS: MirrorLimits = {
  totalMs: 20_000,
  silenceMs: 60_000,
  blobs: CONFIG_DEFAULTS.mirrorBlobs,
  blobsPerClient: CONFIG_DEFAULTS.mirrorBlobsPerClient,
  blobWaitMs: 120_000,
}
