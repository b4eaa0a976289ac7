import { ResolveError } from '../errors.ts'

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
   * @param client as clientKey tells them apart
   * @returns call it once, when the work is over
   * @throws ResolveError TOOMANYREQUESTS with `retryAfterMs` beyond the bounds
   */
  enter(client: string): () => void {
    const { max, maxPerClient } = this.#limits
    const own = this.#open.get(client) ?? 0
    const free = max - this.#count
    if (free <= 0) throw this.#tooMany(String(this.#count))
    if (own >= Math.min(maxPerClient, free)) throw this.#tooMany(`${own} of this client's`)
    this.#open.set(client, own + 1)
    this.#count += 1
    return () => {
      const left = (this.#open.get(client) ?? 1) - 1
      if (left === 0) this.#open.delete(client)
      else this.#open.set(client, left)
      this.#count -= 1
    }
  }

  #tooMany(open: string): ResolveError {
    const { retryAfterMs, what } = this.#limits
    const message = `${open} ${what}, which is as many as at one time`
    return new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
  }
}
