/**
 * The one error type of this program. Codes are the OCI distribution codes where one fits
 * (distribution-spec, "Error Codes"); the others are ours and documented in docs/errors.md.
 * Match on `code`, never on the message.
 */
export type ErrorCode =
  | 'NAME_INVALID'
  | 'PLATFORM_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'PLATFORM_UNKNOWN'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'TOOMANYREQUESTS'
  | 'UNSUPPORTED'
  | 'NOT_AN_IMAGE'
  | 'DIGEST_INVALID'
  | 'MANIFEST_INVALID'
  | 'UNAVAILABLE'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELED'
  | 'CONFIG_INVALID'
  | 'UNKNOWN'

/** What became of one question to one registry. `skipped`: not asked, `message` says why. */
export type AttemptOutcome =
  | 'ok'
  | 'not_found'
  | 'unauthorized'
  | 'denied'
  | 'rate_limited'
  | 'unsupported'
  | 'invalid'
  | 'unreachable'
  | 'server_error'
  | 'timeout'
  | 'canceled'
  | 'skipped'

/** The part of a conversation with a registry in which an attempt ended; `pull`: the runtime's pull from it. */
export type AttemptStep = 'connect' | 'token' | 'manifest' | 'platform' | 'pull'

export interface Attempt {
  /** Name of the registry as configured, or the domain of the reference for its origin. */
  readonly registry: string
  readonly step: AttemptStep
  readonly outcome: AttemptOutcome
  /** HTTP status, when an answer came. */
  readonly status?: number
  readonly ms: number
  /** One line for people, without secrets. */
  readonly message?: string
}

/**
 * What a registry has under the reference although no image ID can be told of it: an artifact, a schema 1
 * manifest, a manifest with a config of an unknown type. A runtime may still be able to pull it.
 */
export interface FoundManifest {
  /** Of its bytes; of a signed schema 1 manifest, of the payload that is signed. */
  readonly digest: string
  readonly mediaType: string
  /** Bytes. */
  readonly size: number
  /** What the manifest says that it is, else the media type of its config, where it has one. */
  readonly artifactType?: string
  /**
   * Name of the registry that has it, as in `attempts`: the first in the order of asking. Present in the
   * errors of resolutions. Whether it may be pulled there is for the capabilities of its entry to say.
   */
  readonly registry?: string
}

/** The wait, in milliseconds, after a TOOMANYREQUESTS that names none. */
export const DEFAULT_WAIT_MS = 10_000

export interface ErrorDetails {
  readonly cause?: unknown
  readonly attempts?: readonly Attempt[]
  /** Where in the conversation with one registry it happened. */
  readonly step?: AttemptStep
  /** HTTP status of the registry's answer. */
  readonly status?: number
  /** From Retry-After, counted from now, in milliseconds; 0 to an hour. */
  readonly retryAfterMs?: number
  /** What is there, although it is no image. */
  readonly found?: FoundManifest
}

/** Between the runtime's own text and what registries said, in the message of a failed pull. */
export const PULL_EXPLANATION = '; image-resolver: '

export class ResolveError extends Error {
  override readonly name = 'ResolveError'
  readonly code: ErrorCode
  readonly attempts: readonly Attempt[]
  readonly step: AttemptStep | undefined
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly found: FoundManifest | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.attempts = details.attempts ?? []
    this.step = details.step
    this.status = details.status
    this.retryAfterMs = details.retryAfterMs
    this.found = details.found
  }
}

/** Turns anything thrown into a ResolveError; what is one already stays the same object. */
export function toResolveError(thrown: unknown): ResolveError {
  if (thrown instanceof ResolveError) return thrown
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new ResolveError('CANCELED', 'the caller went away', { cause: thrown })
  }
  if (thrown instanceof Error && thrown.name === 'TimeoutError') {
    return new ResolveError('DEADLINE_EXCEEDED', 'out of time', { cause: thrown })
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new ResolveError('UNKNOWN', message, { cause: thrown })
}
