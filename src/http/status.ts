import type { ErrorCode } from '../errors.ts'

/** HTTP status by error code: a total table, so that a new code cannot be forgotten. */
export const httpStatus: Readonly<Record<ErrorCode, number>> = {
  NAME_INVALID: 400,
  PLATFORM_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  PLATFORM_UNKNOWN: 404,
  UNAUTHORIZED: 401,
  DENIED: 403,
  TOOMANYREQUESTS: 429,
  // The reference is right and leads somewhere, but not to a runnable image: asking again, or
  // another replica, does not help, so no 5xx, and 404 would say that nothing is there.
  UNSUPPORTED: 422,
  NOT_AN_IMAGE: 422,
  DIGEST_INVALID: 502,
  MANIFEST_INVALID: 502,
  UNAVAILABLE: 502,
  DEADLINE_EXCEEDED: 504,
  // Nobody reads it: the caller has gone. nginx's number, for access logs.
  CANCELED: 499,
  CONFIG_INVALID: 500,
  UNKNOWN: 500,
}

/** Mistakes in the request itself, which only the HTTP API can see. */
export type RequestErrorCode = 'REQUEST_INVALID' | 'ROUTE_UNKNOWN' | 'METHOD_UNSUPPORTED'

export const requestStatus: Readonly<Record<RequestErrorCode, number>> = {
  REQUEST_INVALID: 400,
  ROUTE_UNKNOWN: 404,
  METHOD_UNSUPPORTED: 405,
}
