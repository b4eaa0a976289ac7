import { ConnectionError } from '../http2/errors.ts'
import { ERROR_CODE } from '../http2/frames.ts'
import type { Logger } from '../telemetry/log.ts'

/**
 * One line when the runtime goes and one when it comes back, however many calls find out.
 *
 * @param connected called for each connection on which the runtime answers
 */
export function runtimeReport(
  socket: string,
  logger: Logger,
  connected: () => void,
): { readonly onUp: () => void; readonly onDown: (message: string) => void } {
  let isDown = false
  return {
    onUp: () => {
      if (isDown) logger.info({ socket }, 'the runtime answers again')
      isDown = false
      connected()
    },
    onDown: (message) => {
      if (!isDown) logger.warn({ socket, message }, 'the runtime does not answer')
      isDown = true
    },
  }
}

/** At most one line a minute of each kind: a client that is cut off may come again at once. */
export function crowdReport(
  maxClients: number,
  logger: Logger,
): { readonly onFull: () => void; readonly onBroken: (cause: Error) => void } {
  const toldAt = new Map<string, number>()
  const warn = (fields: object, message: string): void => {
    const now = performance.now()
    if (now - (toldAt.get(message) ?? Number.NEGATIVE_INFINITY) < 60_000) return
    toldAt.set(message, now)
    logger.warn(fields, message)
  }
  return {
    onFull: () => warn({ clients: maxClients }, 'the CRI socket has all the clients it takes'),
    onBroken: (cause) => {
      const isFlood = cause instanceof ConnectionError && cause.code === ERROR_CODE.enhanceYourCalm
      if (isFlood) warn({ reason: cause.message }, 'a client of the CRI socket was cut off')
      else logger.debug({ err: cause }, 'a client broke off')
    },
  }
}
