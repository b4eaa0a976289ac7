import { MirrorFields } from '../../../api/v1/config-sections.ts'
import { type Clock, systemClock } from '../../concurrency/clock.ts'
import type { RegistryClient } from '../../registry/client.ts'
import type { Health } from '../../resolver/types.ts'
import type { Logger } from '../../telemetry/log.ts'
import { MirrorCandidates, type MirrorResolver } from './mirror-candidates.ts'
import { BlobSizes } from './part.ts'

export interface MirrorOptions {
  readonly resolver: MirrorResolver
  readonly source: Pick<RegistryClient, 'open' | 'head' | 'tags'>
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
 * registry may be silent (`ATTEMPT_TIMEOUT_MS` in registry/transport/transport.ts). A blob that moves has no limit
 * of size or time.
 */
export const MIRROR_LIMITS = {
  /** Until the head of an answer; bodies take as long as they take. */
  totalMs: 20_000,
  /** How long a client may leave what it was sent unread. */
  silenceMs: 60_000,
  /** Blobs under way at once, the others queued. */
  blobs: MirrorFields.properties.blobs.default as number,
  /** Of these to one client, as clientKey tells them apart. */
  blobsPerClient: MirrorFields.properties.blobsPerClient.default as number,
  /** How long a request may be queued: containerd ends a pull after 5 minutes without a byte. */
  blobWaitMs: 120_000,
}

export interface MirrorLimits extends Readonly<typeof MIRROR_LIMITS> {
  /** How long a registry may be silent before the next one is asked in its place. Default: the resolver's. */
  readonly probeBudgetMs?: number
}

/** What every kind of content is served with. */
export interface MirrorContext extends MirrorOptions {
  readonly clock: Clock
  readonly limits: MirrorLimits
  readonly candidates: MirrorCandidates
  readonly sizes: BlobSizes
}

export function createContext(options: MirrorOptions): MirrorContext {
  const { clock = systemClock } = options
  const limits = { ...MIRROR_LIMITS, ...options.limits }
  const candidates = new MirrorCandidates({ ...options, clock, limits })
  return { ...options, clock, limits, candidates, sizes: new BlobSizes() }
}
