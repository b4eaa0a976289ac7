import { SingleFlight } from '../concurrency/single-flight.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Span } from '../telemetry/tracing.ts'
import { markCoalesced } from './spans.ts'
import type { Resolution } from './types.ts'

/** A resolution that is under way. */
interface Run {
  readonly flight: string
  readonly reference: Reference
  /** Of the caller that came first. */
  readonly span: Span | undefined
  /** Its tag changed after it began: what it brings may be the image before that. */
  isOutdated: boolean
}

export interface FlightOptions {
  readonly reference: Reference
  /** Of this caller. */
  readonly span: Span | undefined
  /** Ends the waiting of this caller; the last one of a flight ends its work. */
  readonly signal: AbortSignal | undefined
}

/** Resolutions under way. Callers that ask the same share one. */
export class Flights {
  readonly #flights = new SingleFlight<Resolution>()
  readonly #runs = new Set<Run>()

  /** Urgent callers start their own flight; later callers join it. */
  nameFor(name: string, isUrgent: boolean): string {
    const urgent = `${name} urgent`
    return isUrgent || this.#flights.has(urgent) ? urgent : name
  }

  has(flight: string): boolean {
    return this.#flights.has(flight)
  }

  /** @param work for the first caller, whose answer all get */
  fly(
    flight: string,
    { reference, signal, span }: FlightOptions,
    work: (ends: AbortSignal, run: Readonly<Run>) => Promise<Resolution>,
  ): Promise<Resolution> {
    if (span !== undefined && this.#flights.has(flight)) {
      markCoalesced(span, [...this.#runs].findLast((run) => run.flight === flight)?.span)
    }
    return this.#flights.run(flight, signal, (ends) => {
      const run = { flight, reference, span, isOutdated: false }
      this.#runs.add(run)
      return work(ends, run).finally(() => this.#runs.delete(run))
    })
  }

  /** Later callers join no flight of these references any more. */
  expire(isChanged: (reference: string) => boolean): void {
    for (const run of this.#runs) {
      if (!isChanged(formatReference(run.reference))) continue
      run.isOutdated = true
      this.#flights.forget(run.flight)
    }
  }
}
