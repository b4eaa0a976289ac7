import type { Metadata } from '@grpc/grpc-js'
import { type Attempt, PULL_EXPLANATION, ResolveError } from '../errors.ts'
import { oneLine } from '../reference/quote.ts'
import { withAttempts } from '../runtime/attempts-trailer.ts'
import { isRuntimeError, type RuntimeError } from '../runtime/call.ts'
import { MalformedMessageError, withString } from './wire.ts'

/** Of what stands behind the runtime's own text. */
const MAX_BYTES = 1_024
/** A longer name would take the place of what registries said. */
const MAX_NAME_BYTES = 300
const DETAILS = 'grpc-status-details-bin'
/** google.rpc.Status */
const STATUS_MESSAGE = 2

/** What one registry said. */
interface Saying {
  readonly registry: string
  readonly text: string
}

/** What was said while resolving by every registry that did not have the answer. */
function sayings(attempts: readonly Attempt[]): readonly Saying[] {
  return attempts
    .filter(({ outcome }) => outcome !== 'ok')
    .map(({ message, outcome, registry }) => ({ registry, text: message ?? outcome }))
}

/**
 * The error of a failed pull, for the person who reads it in an event. The code stays, and the
 * runtime's own text comes first, unchanged, since the kubelet takes a meaning from how it begins
 * (`RegistryUnavailable`, `SignatureValidationFailed`). Behind it, in at most 1 KiB on one line: what
 * each registry said, and the command that explains it. The message in `grpc-status-details-bin` is
 * the same text, as clients in Go show that one where there is one. A trailer has the attempts
 * themselves, for our own command line and HTTP API.
 *
 * @param attempts also those that had the answer, which nothing is said of
 * @returns the error itself where no registry said anything
 */
export function explainedFailure(
  thrown: unknown,
  image: string,
  attempts: readonly Attempt[],
): unknown {
  const said = sayings(attempts)
  if (said.length === 0) return thrown
  if (thrown instanceof ResolveError) {
    const { code, found, retryAfterMs } = thrown
    return new ResolveError(code, `${thrown.message}${explanation(image, [])}`, {
      attempts: thrown.attempts,
      cause: thrown,
      ...(found !== undefined && { found }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    })
  }
  if (!isRuntimeError(thrown)) return thrown
  const { code } = thrown
  const others = said.filter(({ text }) => !text.endsWith(thrown.details))
  if (others.length === 0) return thrown
  const details = `${thrown.details}${explanation(image, others)}`
  const told = attempts.map((attempt) => ({
    ...attempt,
    ...(attempt.message !== undefined && { message: oneLine(attempt.message) }),
  }))
  const metadata = withAttempts(withDetails(thrown.metadata, details), told)
  const error: RuntimeError = Object.assign(new Error(`${code}: ${details}`), {
    code,
    details,
    metadata,
  })
  return error
}

function explanation(image: string, said: readonly Saying[]): string {
  const hasName = Buffer.byteLength(image) <= MAX_NAME_BYTES
  const command = hasName ? `; see: image-resolver resolve --explain ${image}` : ''
  if (said.length === 0) return command
  const opening = PULL_EXPLANATION
  const room = MAX_BYTES - Buffer.byteLength(opening + command)
  // Equal shares, so that one long text does not silence the others.
  const share = Math.max(Math.floor(room / said.length) - 2, 0)
  const lines = said.map((saying) => shortened(lineOf(saying), share))
  return `${opening}${shortened(lines.join('; '), room)}${command}`
}

/** Texts of registries mostly begin with the host, which mostly is the name. */
function lineOf({ registry, text }: Saying): string {
  const line = oneLine(text)
  return line.startsWith(`${registry}:`) ? line : `${oneLine(registry)}: ${line}`
}

function shortened(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  const cut = Buffer.from(text).subarray(0, Math.max(bytes - 3, 0))
  // Streaming keeps back a character that was cut in two.
  return bytes < 3 ? '' : `${new TextDecoder().decode(cut, { stream: true })}…`
}

function withDetails(trailers: Metadata, details: string): Metadata {
  const metadata = trailers.clone()
  const [value] = metadata.get(DETAILS)
  if (!Buffer.isBuffer(value)) return metadata
  try {
    metadata.set(DETAILS, Buffer.from(withString(value, STATUS_MESSAGE, details)))
  } catch (error) {
    // What cannot be read would say something else than the message: the message alone is better.
    if (!(error instanceof MalformedMessageError)) throw error
    metadata.remove(DETAILS)
  }
  return metadata
}
