import { status } from '@grpc/grpc-js'
import { isRuntimeError, type RuntimeError } from './call.ts'
import type { CriVersion } from './types.ts'

/** Characters of a runtime's own text. */
const MOST_WORDS = 500

/** What a failed connect says, in the words of the gRPC library, and what it means. */
const MEANINGS: readonly (readonly [RegExp, (socket: string) => string])[] = [
  [/\bENOENT\b/, (socket) => `there is no socket at ${socket}`],
  [/\bE(?:ACCES|PERM)\b/, (socket) => `no right to use ${socket}: try it as root`],
  [/\bECONNREFUSED\b/, (socket) => `nobody listens at ${socket}`],
  [/Protocol error/, (socket) => `what listens at ${socket} is no gRPC server`],
  [/^No connection established/, (socket) => `nobody answers at ${socket}`],
  [/^(?:Connection dropped|read E)/, (socket) => `the connection to ${socket} broke off`],
]

const LOST = /^(?:No connection established|Connection dropped|read E(?:CONNRESET|TIMEDOUT)$)/

/** Whether the connection to the runtime broke off or could not be made, so that the runtime said nothing. */
export function isConnectionLost(thrown: unknown): boolean {
  return isRuntimeError(thrown) && thrown.code === status.UNAVAILABLE && LOST.test(thrown.details)
}

/**
 * Why a call found nobody on a unix socket. The library tells of it in its own words, which name
 * neither the runtime nor what to do.
 *
 * @returns undefined when somebody answered, so that `details` are that one's words
 */
export function unreachable(
  socket: string,
  { code, details }: Pick<RuntimeError, 'code' | 'details'>,
): string | undefined {
  // A deadline that the runtime itself tells of reads `context deadline exceeded`.
  if (code === status.DEADLINE_EXCEEDED && details.startsWith('Deadline exceeded after')) {
    return `${socket} does not answer in time`
  }
  if (!LOST.test(details)) return undefined
  return MEANINGS.find(([pattern]) => pattern.test(details))?.[1](socket)
}

/**
 * What a runtime answered to the question for its version, where that was no version.
 *
 * @param configured the only version that it was asked for
 * @returns undefined: nothing answered
 */
export function answered(
  { code, details }: Pick<RuntimeError, 'code' | 'details'>,
  configured?: CriVersion,
): string | undefined {
  if (unreachable('', { code, details }) !== undefined) return undefined
  if (code === status.DEADLINE_EXCEEDED) return undefined
  const text = `answered ${status[code]}: ${details.slice(0, MOST_WORDS)}`
  if (code !== status.UNIMPLEMENTED || configured === undefined) return text
  const mend = 'leave it out, and what the runtime serves is found out'
  return `${text}; the configuration says \`version: ${configured}\`: ${mend}`
}
