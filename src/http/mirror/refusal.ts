import { ResolveError } from '../../errors.ts'
import type { Content } from '../../registry/content.ts'
import { MANIFEST_CODES } from '../../registry/failure.ts'
import type { ImageRequest } from '../../registry/image.ts'
import { retryAfterMs } from '../../registry/retry-after.ts'

/** Reading so much costs less than a new connection. */
const MAX_DISCARDED_BYTES = 64 * 1024

/** The error for an answer that is no success. Its body is not looked at: what it says is not for our client. */
export function refusal(
  { endpoint, repository }: Pick<ImageRequest, 'endpoint' | 'repository'>,
  { status, headers, body }: Content,
  now: number,
): ResolveError {
  const isShort = Number(headers['content-length'] ?? Number.NaN) <= MAX_DISCARDED_BYTES
  if (isShort) body.resume()
  else body.destroy()
  const code = MANIFEST_CODES.get(status) ?? 'UNAVAILABLE'
  const wait = code === 'TOOMANYREQUESTS' ? { retryAfterMs: retryAfterMs(headers, now) } : {}
  const message = `${endpoint.host}: ${repository}: answered ${status}`
  return new ResolveError(code, message, { step: 'manifest', status, ...wait })
}
