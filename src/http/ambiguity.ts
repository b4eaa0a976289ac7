import type { IncomingMessage } from 'node:http'
import { type Failure, requestFailure } from './failure.ts'

/**
 * Why a request may mean something else to a proxy before this service: `Host` missing or given twice, of
 * which Node takes the first (RFC 9112, 3.2: refuse with 400), a body whose end its transfer coding does not tell,
 * which Node's parser finds only once the answer may have been given (RFC 9112, 6.3: refuse with 400), or a body
 * in a coding, which nothing here decodes (RFC 9110, 15.5.16).
 */
export function ambiguity(request: IncomingMessage): Failure | undefined {
  const { headers, rawHeaders } = request
  const count = hosts(rawHeaders)
  if (count > 1) return requestFailure('REQUEST_INVALID', 'there are two Host headers')
  if (count === 0 && request.httpVersion === '1.1') {
    return requestFailure('REQUEST_INVALID', 'the Host header is missing')
  }
  const transfer = headers['transfer-encoding']
  if (transfer !== undefined && !/(?:^|,)\s*chunked\s*$/i.test(transfer)) {
    return requestFailure('REQUEST_INVALID', 'the last Transfer-Encoding has to be chunked')
  }
  const coding = headers['content-encoding']
  if (coding === undefined || coding === 'identity') return undefined
  const message = 'bodies are read as they are: send it without Content-Encoding'
  const failure = requestFailure('REQUEST_INVALID', message, 415)
  return { ...failure, headers: { ...failure.headers, 'accept-encoding': 'identity' } }
}

/** Names and values in turns. */
function hosts(rawHeaders: readonly string[]): number {
  let count = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]
    if (name?.length === 4 && name.toLowerCase() === 'host') count += 1
  }
  return count
}
