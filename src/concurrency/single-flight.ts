import { onAbort } from './abortable.ts'

interface Flight<T> {
  readonly result: Promise<T>
  readonly controller: AbortController
  callers: number
}

type Work<T> = (signal: AbortSignal, isCurrent: () => boolean) => Promise<T>

/**
 * Callers that want the same thing at the same time share one run of it. A caller that leaves does
 * not end it for the others; the last one that leaves does.
 */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Flight<T>>()

  /** Whether a caller that comes now shares a run. */
  has(key: string): boolean {
    return this.#flights.has(key)
  }

  /** Of the runs that callers that come now would share. */
  keys(): readonly string[] {
    return [...this.#flights.keys()]
  }

  /** Callers that come from now on share another run. Those that share this one still get its result. */
  forget(key: string): void {
    this.#flights.delete(key)
  }

  /**
   * @param work also gets whether callers that come now would share it
   * @throws the signal's reason when that caller leaves, else what the run throws
   */
  run(key: string, signal: AbortSignal | undefined, work: Work<T>): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    const flight = this.#flights.get(key) ?? this.#start(key, work)
    flight.callers += 1
    if (signal === undefined) return flight.result
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        flight.callers -= 1
        if (flight.callers === 0) {
          this.#end(key, flight)
          flight.controller.abort(signal.reason)
        }
        reject(signal.reason)
      }
      const stop = onAbort(signal, leave)
      flight.result.then(resolve, reject).finally(stop)
    })
  }

  #start(key: string, work: Work<T>): Flight<T> {
    const controller = new AbortController()
    const isCurrent = (): boolean => this.#flights.get(key)?.controller === controller
    const result = work(controller.signal, isCurrent)
    const flight: Flight<T> = { result, controller, callers: 0 }
    this.#flights.set(key, flight)
    flight.result.then(
      () => this.#end(key, flight),
      () => this.#end(key, flight),
    )
    return flight
  }

  #end(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }
}
