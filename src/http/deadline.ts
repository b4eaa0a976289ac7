import type { IncomingMessage, ServerResponse } from 'node:http'
import { ResolveError } from '../errors.ts'

export interface Deadline {
  readonly signal: AbortSignal
  /** Call when the work is over. */
  clear(): void
}

/**
 * A signal that aborts with a TimeoutError after `timeoutMs`, or with an AbortError when the
 * connection closes before the work is over.
 */
export function startDeadline({ socket }: IncomingMessage, timeoutMs: number): Deadline {
  const controller = new AbortController()
  const leave = (): void => controller.abort()
  const timer = setTimeout(() => {
    controller.abort(new DOMException('out of time', 'TimeoutError'))
  }, timeoutMs).unref()
  // However many requests are pipelined on it, that is no leak.
  socket.setMaxListeners(0)
  socket.once('close', leave)
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer)
      socket.off('close', leave)
    },
  }
}

/** As startDeadline, cleared when the work is over. */
export async function withDeadline<T>(
  request: IncomingMessage,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = startDeadline(request, timeoutMs)
  try {
    return await work(deadline.signal)
  } finally {
    deadline.clear()
  }
}

/** A signal that aborts when the answer is sent, or its client has gone. */
export function untilLeft(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => {
    controller.abort(new ResolveError('CANCELED', 'the caller went away'))
  })
  return controller.signal
}
