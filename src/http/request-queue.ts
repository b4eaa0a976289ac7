import type { RequestListener, ServerResponse } from 'node:http'
import { type Connection, isBusy } from './connection.ts'

/**
 * Requests that are begun in one turn of the event loop as they come, and as many again out of the queues:
 * a tenth of a millisecond each.
 */
const BEGUN_A_TURN = 32

export interface RequestQueueOptions {
  /** As in Limits. */
  readonly maxPipelined: number
  /** Gets every request when it is its turn. */
  readonly begin: RequestListener
}

/**
 * The order in which requests are worked on: those of one connection one after the other, as they are
 * answered, and a few of all in each turn of the event loop. A thousand connections may bring 32 requests
 * each in one turn, and every other client would wait until all of them are answered. What is left over is
 * begun in the turns that follow, one request of each client after the other.
 */
export class RequestQueue {
  readonly #options: RequestQueueOptions
  /** Not empty, in the order of their turns. */
  readonly #queues = new Set<ServerResponse[]>()
  /** Requests that may still be begun before the event loop has turned. */
  #left = BEGUN_A_TURN

  constructor(options: RequestQueueOptions) {
    this.#options = options
  }

  /** @returns false: there is no more room behind the requests of this connection */
  take(connection: Connection, response: ServerResponse): boolean {
    const { waiting } = connection
    if (waiting.length === 0 && !isBusy(connection)) this.#next(connection, response)
    else if (waiting.length >= this.#options.maxPipelined) return false
    else if (waiting.push(response) === 1) this.#awaitEnd(connection)
    return true
  }

  /** Only where requests are pipelined is it of interest when one is answered. */
  #awaitEnd(connection: Connection): void {
    connection.current?.once('close', () => {
      const next = connection.waiting.shift()
      if (next === undefined) return
      this.#next(connection, next)
      if (connection.waiting.length > 0) this.#awaitEnd(connection)
    })
  }

  #next(connection: Connection, response: ServerResponse): void {
    connection.current = response
    if (this.#left > 0 && this.#queues.size === 0) {
      this.#begin(response)
      return
    }
    connection.client.queue.push(response)
    this.#queues.add(connection.client.queue)
  }

  #begin(response: ServerResponse): void {
    this.#left -= 1
    if (this.#left === 0) setImmediate(this.#beginQueued)
    const { req: request } = response
    // It may have been closed meanwhile.
    if (!request.socket.destroyed) this.#options.begin(request, response)
  }

  /** One of each client after the other. */
  readonly #beginQueued = (): void => {
    this.#left = BEGUN_A_TURN
    for (const queue of this.#queues) {
      if (this.#left === 0) return
      this.#queues.delete(queue)
      const response = queue.shift()
      if (queue.length > 0) this.#queues.add(queue)
      if (response !== undefined) this.#begin(response)
    }
  }
}
