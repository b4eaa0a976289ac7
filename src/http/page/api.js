const TOKEN = 'token'
/** Longer than the service takes for its slowest answer. */
const LIMIT_MS = 40_000

/** An error as the service tells it. */
export class ApiError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ attempts?: readonly Attempt[] | undefined, retryAfterSeconds?: number, wantsToken?: boolean }} [more]
   */
  constructor(code, message, more = {}) {
    super(message)
    this.code = code
    this.attempts = more.attempts ?? []
    this.retryAfterSeconds = more.retryAfterSeconds
    this.wantsToken = more.wantsToken ?? false
  }
}

/** @param {string} token of the service, for this tab and until it is closed */
export function useToken(token) {
  sessionStorage.setItem(TOKEN, token)
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null
}

/**
 * GET; rejects with ApiError, or AbortError.
 *
 * @param {string} path
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, signal) {
  const token = sessionStorage.getItem(TOKEN)
  const limit = AbortSignal.timeout(LIMIT_MS)
  const response = await fetch(path, {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  }).catch((error) => {
    if (signal?.aborted) throw error
    throw new ApiError('NO_ANSWER', 'the service does not answer')
  })
  const body = await response.json().catch(() => undefined)
  // A service that is not ready says so with 503, and with an answer.
  if ((response.ok && body !== undefined) || body?.status === 'not_ready') return body
  if (response.ok) throw new ApiError('NO_ANSWER', 'the service broke off its answer')
  const error = toError(response, body)
  // Asked with a token that was wrong, while the right one was being entered.
  if (error.wantsToken && token !== sessionStorage.getItem(TOKEN)) return get(path, signal)
  throw error
}

/**
 * @param {Response} response
 * @param {Partial<ErrorResponse> | undefined} body
 */
function toError(response, body) {
  const [error] = body?.errors ?? []
  const retryAfter = Number(response.headers.get('retry-after'))
  return new ApiError(error?.code ?? 'UNKNOWN', error?.message ?? `HTTP ${response.status}`, {
    attempts: error?.detail?.attempts,
    // Registries that want credentials are a 401 too, but one without this header.
    wantsToken: response.status === 401 && response.headers.has('www-authenticate'),
    ...(retryAfter > 0 && { retryAfterSeconds: retryAfter }),
  })
}

/** @import { Attempt } from '../../../api/v1/candidate.ts' */
/** @import { ErrorResponse } from '../../../api/v1/error.ts' */
