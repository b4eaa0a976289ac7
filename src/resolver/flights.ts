interface Flight<T> {
  readonly result: Promise<T>
  readonly controller: AbortController
  passengers: number
}

/**
 * Callers that want the same thing at the same time share one run of it. A caller that leaves does
 * not end it for the others; the last one that leaves does.
 */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /** Whether who joins now shares a run. */
  has(key: string): boolean {
    return this.#flights.has(key)
  }

  /** @throws the signal's reason when that caller leaves, else what the run throws */
  join(
    key: string,
    signal: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    const flight = this.#flights.get(key) ?? this.#start(key, run)
    flight.passengers += 1
    if (signal === undefined) return flight.result
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        flight.passengers -= 1
        if (flight.passengers === 0) {
          this.#land(key, flight)
          flight.controller.abort(signal.reason)
        }
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
      flight.result.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
    })
  }

  #start(key: string, run: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController()
    const flight: Flight<T> = { result: run(controller.signal), controller, passengers: 0 }
    this.#flights.set(key, flight)
    flight.result.then(
      () => this.#land(key, flight),
      () => this.#land(key, flight),
    )
    return flight
  }

  #land(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
