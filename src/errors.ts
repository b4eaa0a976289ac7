import type { Attempt as ApiAttempt } from '../api/v1/candidate.ts'
import type { FoundManifest as ApiFoundManifest, ErrorResponse } from '../api/v1/error.ts'
import type { Written } from '../api/v1/schema.ts'

/**
 * The one error type of this program. Codes are the OCI distribution codes where one fits
 * (distribution-spec, "Error Codes"); the others are ours and documented in docs/errors.md.
 * Match on `code`, never on the message.
 */
export type ErrorCode = Exclude<
  ErrorResponse['errors'][number]['code'],
  'REQUEST_INVALID' | 'ROUTE_UNKNOWN' | 'METHOD_UNSUPPORTED'
>

/** The attempt at one registry, and its outcome. */
export type Attempt = Written<ApiAttempt>
export type AttemptOutcome = Attempt['outcome']
export type AttemptStep = Attempt['step']
/**
 * What a registry has under the reference although no image ID can be told of it: an artifact, a schema 1
 * manifest, a manifest with a config of an unknown type. A runtime may still be able to pull it. `registry` is
 * present in the errors of resolutions; whether it may be pulled there the capabilities of its entry say.
 */
export type FoundManifest = Written<ApiFoundManifest>

/** The wait, in milliseconds, after a TOOMANYREQUESTS that names none. */
export const DEFAULT_WAIT_MS = 10_000

export interface ErrorDetails {
  readonly cause?: unknown
  readonly attempts?: readonly Attempt[] | undefined
  /** Where in the conversation with one registry it happened. */
  readonly step?: AttemptStep | undefined
  /** HTTP status of the registry's answer. */
  readonly status?: number | undefined
  /** From Retry-After, counted from now, in milliseconds; 0 to an hour. */
  readonly retryAfterMs?: number | undefined
  /** What is there, although it is no image. */
  readonly found?: FoundManifest | undefined
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
  return new ResolveError('UNKNOWN', messageOf(thrown), { cause: thrown })
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The code of an error of Node.js or the system: `ENOENT`; undefined: it has none. */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined
}
