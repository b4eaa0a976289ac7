import type { ErrorCode } from '../errors.ts'

/** The exit codes of every command; docs/command-line.md and each help text list them. */
export const EXIT = {
  done: 0,
  /** Failed in a way that has no code of its own. */
  failed: 1,
  /** Wrong use, or a configuration that cannot be used. */
  usage: 2,
  /** What was asked for is no reference, platform or name. */
  malformed: 3,
  /** Every registry that may have it was asked, and has none. */
  notFound: 4,
  /** Credentials are missing or do not suffice, or the configuration forbids to ask. */
  refused: 5,
  /** No answer: the registries, the service or the runtime are down, too slow or want a pause. */
  unreachable: 6,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

const OF_ERROR: Readonly<Record<ErrorCode, ExitCode>> = {
  NAME_INVALID: EXIT.malformed,
  PLATFORM_INVALID: EXIT.malformed,
  MANIFEST_UNKNOWN: EXIT.notFound,
  PLATFORM_UNKNOWN: EXIT.notFound,
  UNAUTHORIZED: EXIT.refused,
  DENIED: EXIT.refused,
  TOOMANYREQUESTS: EXIT.unreachable,
  UNAVAILABLE: EXIT.unreachable,
  DEADLINE_EXCEEDED: EXIT.unreachable,
  UNSUPPORTED: EXIT.failed,
  NOT_AN_IMAGE: EXIT.failed,
  DIGEST_INVALID: EXIT.failed,
  MANIFEST_INVALID: EXIT.failed,
  CANCELED: EXIT.failed,
  UNKNOWN: EXIT.failed,
  CONFIG_INVALID: EXIT.usage,
}

export function exitCodeOf(code: ErrorCode): ExitCode {
  return OF_ERROR[code]
}

/** @returns the code that all failures share; 1 where they differ; 0 without any */
export function commonExitCode(codes: Iterable<ExitCode>): ExitCode {
  const failures = [...new Set(codes)].filter((code) => code !== EXIT.done)
  const [first = EXIT.done] = failures
  return failures.length > 1 ? EXIT.failed : first
}
