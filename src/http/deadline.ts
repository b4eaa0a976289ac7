import type { ServerResponse } from 'node:http'
import { ResolveError } from '../errors.ts'

/**
 * A signal for the work that a response waits for. It aborts when that is sent, or its client has gone, and with a
 * TimeoutError after `timeoutMs`.
 */
export function untilLeft(response: ServerResponse, timeoutMs?: number): AbortSignal {
  const controller = new AbortController()
  const outOfTime = (): void => controller.abort(new DOMException('out of time', 'TimeoutError'))
  const timer = timeoutMs === undefined ? undefined : setTimeout(outOfTime, timeoutMs).unref()
  response.once('close', () => {
    clearTimeout(timer)
    controller.abort(new ResolveError('CANCELED', 'the caller went away'))
  })
  return controller.signal
}
