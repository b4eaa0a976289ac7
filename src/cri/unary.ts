import {
  type handleUnaryCall,
  Metadata,
  type ServerUnaryCall,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { toResolveError } from '../errors.ts'
import { withAttempts } from '../runtime/attempts-trailer.ts'
import { isRuntimeError } from '../runtime/call.ts'
import type { Logger } from '../telemetry/logger.ts'
import { grpcStatus } from './status.ts'
import { MalformedMessageError } from './wire.ts'

/** What a handler knows of its caller. */
export interface Caller {
  /** The caller's metadata, fit to be sent on. */
  readonly metadata: Metadata
  /** undefined: the caller set none. */
  readonly deadline: Date | undefined
  /** Aborts when the caller leaves or its time is up. */
  readonly signal: AbortSignal
}

export interface UnaryOptions {
  /** For callers that bring no deadline; absent: these decide for themselves. */
  readonly limitMs?: number
  readonly log: Pick<Logger, 'error'>
}

/**
 * A gRPC handler from a function. Errors of the runtime reach the caller as they are: code, text,
 * trailers and details, since kubelet reads a meaning from the text.
 * What is our own fault is told to the log alone.
 */
export function unary<Request, Response>(
  answer: (request: Request, caller: Caller) => Promise<Response>,
  { limitMs, log }: UnaryOptions,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const { caller, done } = callerOf(call, limitMs)
    answer(call.request, caller)
      .then(
        (response) => callback(null, response),
        (thrown: unknown) => callback(toServiceError(thrown, log)),
      )
      .finally(done)
  }
}

function callerOf<Request, Response>(
  call: ServerUnaryCall<Request, Response>,
  limitMs: number | undefined,
): { readonly caller: Caller; readonly done: () => void } {
  const controller = new AbortController()
  call.on('cancelled', () => controller.abort())
  const set = call.getDeadline()
  const at = set instanceof Date ? set.getTime() : set
  const limit =
    limitMs === undefined || Number.isFinite(at)
      ? undefined
      : setTimeout(() => {
          controller.abort(new DOMException(`no answer within ${limitMs} ms`, 'TimeoutError'))
        }, limitMs)
  const metadata = call.metadata.clone()
  // grpc-js puts its own there; two would arrive as one that nobody can read.
  metadata.remove('user-agent')
  return {
    caller: {
      metadata,
      deadline: Number.isFinite(at) ? new Date(at) : undefined,
      signal: controller.signal,
    },
    done: () => clearTimeout(limit),
  }
}

function toServiceError(thrown: unknown, log: Pick<Logger, 'error'>): Partial<ServiceError> {
  if (isRuntimeError(thrown)) {
    return { code: thrown.code, details: thrown.details, metadata: thrown.metadata }
  }
  if (thrown instanceof MalformedMessageError) {
    const details = `the request is no protobuf message: ${thrown.message}`
    return { code: status.INVALID_ARGUMENT, details }
  }
  const error = toResolveError(thrown)
  const code = grpcStatus[error.code]
  if (error.code !== 'UNKNOWN') {
    const metadata = withAttempts(new Metadata(), error.attempts)
    return { code, details: error.message, metadata }
  }
  log.error({ err: thrown }, 'unexpected error')
  return { code, details: 'unexpected error; the log of image-resolver has it' }
}
