import { status } from '@grpc/grpc-js'
import type { ErrorCode } from '../errors.ts'

/** gRPC status of our own errors; what the runtime says goes on as it came. */
export const grpcStatus: Readonly<Record<ErrorCode, status>> = {
  NAME_INVALID: status.INVALID_ARGUMENT,
  PLATFORM_INVALID: status.INVALID_ARGUMENT,
  MANIFEST_UNKNOWN: status.NOT_FOUND,
  PLATFORM_UNKNOWN: status.NOT_FOUND,
  UNAUTHORIZED: status.UNAUTHENTICATED,
  DENIED: status.PERMISSION_DENIED,
  TOOMANYREQUESTS: status.RESOURCE_EXHAUSTED,
  UNSUPPORTED: status.FAILED_PRECONDITION,
  NOT_AN_IMAGE: status.FAILED_PRECONDITION,
  DIGEST_INVALID: status.UNAVAILABLE,
  MANIFEST_INVALID: status.UNAVAILABLE,
  UNAVAILABLE: status.UNAVAILABLE,
  DEADLINE_EXCEEDED: status.DEADLINE_EXCEEDED,
  CANCELED: status.CANCELLED,
  CONFIG_INVALID: status.FAILED_PRECONDITION,
  UNKNOWN: status.UNKNOWN,
}

/** A status that the transport gives out, of a request that cannot be read. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError'
  readonly code: number
  readonly details: string

  constructor({ code, details }: Pick<GrpcError, 'code' | 'details'>, options?: ErrorOptions) {
    super(details, options)
    this.code = code
    this.details = details
  }
}
