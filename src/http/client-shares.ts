import type { IncomingMessage, ServerResponse } from 'node:http'
import { ResolveError } from '../errors.ts'
import { clientKey } from './limits.ts'

export interface ShareLimits {
  readonly max: number
  readonly maxPerClient: number
  /** Of a refusal: `pods are being reviewed`. */
  readonly what: string
  /** Milliseconds after which a refused client may come again. */
  readonly retryAfterMs: number
}

/**
 * How much of one kind of work is open at one time. A client may have as much as is left free beside it, so that two
 * clients together always leave something to a third.
 */
export class ClientShares {
  readonly #limits: ShareLimits
  readonly #open = new Map<string, number>()
  #count = 0

  constructor(limits: ShareLimits) {
    this.#limits = limits
  }

  /**
   * Counts it until it is answered, or its client has gone.
   *
   * @throws ResolveError TOOMANYREQUESTS with `retryAfterMs` beyond the bounds
   */
  enter({ socket }: IncomingMessage, response: ServerResponse): void {
    const { max, maxPerClient } = this.#limits
    const client = clientKey(socket.remoteAddress)
    const own = this.#open.get(client) ?? 0
    const free = max - this.#count
    if (free <= 0) throw this.#tooMany(String(this.#count))
    if (own >= Math.min(maxPerClient, free)) throw this.#tooMany(`${own} of this client's`)
    this.#open.set(client, own + 1)
    this.#count += 1
    response.once('close', () => {
      const left = (this.#open.get(client) ?? 1) - 1
      if (left === 0) this.#open.delete(client)
      else this.#open.set(client, left)
      this.#count -= 1
    })
  }

  #tooMany(open: string): ResolveError {
    const { retryAfterMs, what } = this.#limits
    const message = `${open} ${what}, which is as many as at one time`
    return new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
  }
}
