import { type Attempt, PULL_EXPLANATION, ResolveError } from '../errors.ts'
import { oneLine } from '../reference/quote.ts'
import { withAttempts } from '../runtime/attempts-trailer.ts'
import { isRuntimeError, type RuntimeError } from '../runtime/call.ts'
import { binaryValue, type Metadata, withBinaryValue } from '../runtime/metadata.ts'
import { MalformedMessageError, withString } from './wire.ts'

/** Of the text after the runtime's own. */
const MAX_BYTES = 1_024
/** A longer name would leave no room for the registries. */
const MAX_NAME_BYTES = 300
const DETAILS = 'grpc-status-details-bin'
/** google.rpc.Status */
const STATUS_MESSAGE = 2

/** The answer of one registry. */
interface RegistryText {
  readonly registry: string
  readonly text: string
}

/** The texts of all registries that did not have the image. */
function registryTexts(attempts: readonly Attempt[]): readonly RegistryText[] {
  return attempts
    .filter(({ outcome }) => outcome !== 'ok')
    .map(({ message, outcome, registry }) => ({ registry, text: message ?? outcome }))
}

/**
 * The error of a failed pull, as an event shows it. The code stays. The runtime's text comes first and
 * unchanged, because the kubelet interprets its beginning (`RegistryUnavailable`,
 * `SignatureValidationFailed`). After it, in at most 1 KiB on one line: the text of each registry, and the
 * command that explains the image. The message in `grpc-status-details-bin` is the same text, because
 * clients in Go show that one. A trailer has the attempts, for the command line and the HTTP API.
 *
 * @param attempts also successful ones, which are not mentioned
 * @returns the error itself where no registry failed
 */
export function explainedFailure(
  thrown: unknown,
  image: string,
  attempts: readonly Attempt[],
): unknown {
  const texts = registryTexts(attempts)
  if (texts.length === 0) return thrown
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
  const others = texts.filter(({ text }) => !text.endsWith(thrown.details))
  if (others.length === 0) return thrown
  const details = `${thrown.details}${explanation(image, others)}`
  const reported = attempts.map((attempt) => ({
    ...attempt,
    ...(attempt.message !== undefined && { message: oneLine(attempt.message) }),
  }))
  const metadata = withAttempts(withDetails(thrown.metadata, details), reported)
  const error: RuntimeError = Object.assign(new Error(`${code}: ${details}`), {
    code,
    details,
    metadata,
  })
  return error
}

function explanation(image: string, said: readonly RegistryText[]): string {
  const hasName = Buffer.byteLength(image) <= MAX_NAME_BYTES
  const command = hasName ? `; see: image-resolver resolve --explain ${image}` : ''
  if (said.length === 0) return command
  const opening = PULL_EXPLANATION
  const room = MAX_BYTES - Buffer.byteLength(opening + command)
  // Equal shares, so that one long text does not displace the others.
  const share = Math.max(Math.floor(room / said.length) - 2, 0)
  const lines = said.map((each) => shortened(lineOf(each), share))
  return `${opening}${shortened(lines.join('; '), room)}${command}`
}

/** Texts of registries mostly begin with the host, which mostly is the registry's name. */
function lineOf({ registry, text }: RegistryText): string {
  const line = oneLine(text)
  return line.startsWith(`${registry}:`) ? line : `${oneLine(registry)}: ${line}`
}

function shortened(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  const cut = Buffer.from(text).subarray(0, Math.max(bytes - 3, 0))
  // With `stream` the decoder drops a character that was cut in two.
  return bytes < 3 ? '' : `${new TextDecoder().decode(cut, { stream: true })}…`
}

function withDetails(trailers: Metadata, details: string): Metadata {
  const value = binaryValue(trailers, DETAILS)
  if (value === undefined) return trailers
  try {
    return withBinaryValue(trailers, DETAILS, withString(value, STATUS_MESSAGE, details))
  } catch (error) {
    // Unreadable details would differ from the message: the message alone is better.
    if (!(error instanceof MalformedMessageError)) throw error
    return withBinaryValue(trailers, DETAILS, undefined)
  }
}
