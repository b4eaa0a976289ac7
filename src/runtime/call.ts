import type { Metadata } from './metadata.ts'
import { status, statusName } from './status.ts'

/**
 * The error of a failed call: the status of the runtime. `code` is the gRPC code, `details` the runtime's
 * text (`message` has the code in front), `metadata` the trailers with `grpc-status-details-bin`. An owned
 * method (cri/owned-call.ts) that throws one ends its call with exactly these.
 */
export interface RuntimeError extends Error {
  readonly code: number
  readonly details: string
  readonly metadata: Metadata
}

export interface CallOptions {
  readonly metadata?: Metadata
  /** Sent to the runtime. */
  readonly deadline?: Date
  /** Cancels the call in the runtime, too. */
  readonly signal?: AbortSignal
}

/** The definition of a method, as far as a client needs it. */
export interface Method<Request, Response> {
  readonly path: string
  readonly requestSerialize: (request: Request) => Buffer
  readonly responseDeserialize: (bytes: Buffer) => Response
}

/** A method with messages that stay bytes. */
export function rawMethod(path: string): Method<Uint8Array, Buffer> {
  return {
    path,
    requestSerialize: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    responseDeserialize: (bytes) => bytes,
  }
}

export function isRuntimeError(thrown: unknown): thrown is RuntimeError {
  return (
    thrown instanceof Error &&
    'code' in thrown &&
    typeof thrown.code === 'number' &&
    'details' in thrown &&
    'metadata' in thrown
  )
}

/** `instead` where the call ends with that code. */
export async function unless<T, U>(code: number, instead: U, outcome: Promise<T>): Promise<T | U> {
  try {
    return await outcome
  } catch (error) {
    if (isRuntimeError(error) && error.code === code) return instead
    throw error
  }
}

export function runtimeError(code: number, details: string, metadata: Metadata = []): RuntimeError {
  const error = new Error(`${code} ${statusName(code)}: ${details}`)
  return Object.assign(error, { code, details, metadata })
}

/** @param ms from now */
export function deadlineIn(ms: number): Date {
  return new Date(Date.now() + ms)
}

/** Of a runtime's text. */
const MAX_TEXT_CHARACTERS = 500

/** What the gRPC library says of a failed connection, and what it means. */
const MEANINGS: readonly (readonly [RegExp, (socket: string) => string])[] = [
  [/\bENOENT\b/, (socket) => `there is no socket at ${socket}`],
  [/\bE(?:ACCES|PERM)\b/, (socket) => `no right to use ${socket}: try it as root`],
  [/\bECONNREFUSED\b/, (socket) => `nothing listens at ${socket}`],
  [/Protocol error/, (socket) => `what listens at ${socket} is not a gRPC server`],
  [/\bSETTINGS\b/, (socket) => `what listens at ${socket} takes connections and does not answer`],
  [/^No connection established/, (socket) => `nothing answers at ${socket}`],
  [/^No answer from /, (socket) => `${socket} does not answer`],
  [/^(?:Connection dropped|read E)/, (socket) => `the connection to ${socket} broke off`],
]

const LOST =
  /^(?:No connection established|Connection dropped|No answer from |read E(?:CONNRESET|TIMEDOUT)$)/

/**
 * Whether the connection to the runtime broke off or could not be made, or the runtime has answered nothing
 * for long, so that it gave no answer.
 */
export function isConnectionLost(thrown: unknown): boolean {
  return isRuntimeError(thrown) && thrown.code === status.UNAVAILABLE && LOST.test(thrown.details)
}

/**
 * Why a call got no answer from a unix socket. The library's own text names neither the runtime nor
 * what to do.
 *
 * @returns undefined: the runtime answered, and `details` is its text
 */
export function unreachable(
  socket: string,
  { code, details }: Pick<RuntimeError, 'code' | 'details'>,
): string | undefined {
  // The runtime's own text for a deadline is `context deadline exceeded`.
  if (code === status.DEADLINE_EXCEEDED && details.startsWith('Deadline exceeded after')) {
    return `${socket} does not answer in time`
  }
  if (!LOST.test(details)) return undefined
  return MEANINGS.find(([pattern]) => pattern.test(details))?.[1](socket)
}

/**
 * What a runtime answered instead of its version.
 *
 * @param configured the only version that was asked for
 * @returns undefined: nothing answered
 */
export function answered(
  { code, details }: Pick<RuntimeError, 'code' | 'details'>,
  configured?: string,
): string | undefined {
  if (unreachable('', { code, details }) !== undefined) return undefined
  if (code === status.DEADLINE_EXCEEDED) return undefined
  const text = `answered ${statusName(code)}: ${details.slice(0, MAX_TEXT_CHARACTERS)}`
  if (code !== status.UNIMPLEMENTED || configured === undefined) return text
  const mend = 'leave it out, and what the runtime serves is found out'
  return `${text}; the configuration says \`version: ${configured}\`: ${mend}`
}
