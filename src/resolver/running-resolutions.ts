import { SingleFlight } from '../concurrency/single-flight.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Span } from '../telemetry/tracing.ts'
import { markCoalesced } from './spans.ts'
import type { Resolution } from './types.ts'

/** A resolution that is under way. */
interface Run {
  readonly key: string
  readonly reference: Reference
  /** Of the caller that came first. */
  readonly span: Span | undefined
  /** Its tag changed after it began: what it brings may be the image before that. */
  isOutdated: boolean
}

export interface ShareOptions {
  readonly reference: Reference
  /** Of this caller. */
  readonly span: Span | undefined
  /** Ends the waiting of this caller; the last one ends the work. */
  readonly signal: AbortSignal | undefined
}

/** Resolutions under way. Callers that ask the same share one. */
export class RunningResolutions {
  readonly #shared = new SingleFlight<Resolution>()
  readonly #runs = new Set<Run>()

  /** Urgent callers start their own; later callers join it. */
  keyFor(key: string, isUrgent: boolean): string {
    const urgent = `${key} urgent`
    return isUrgent || this.#shared.has(urgent) ? urgent : key
  }

  has(key: string): boolean {
    return this.#shared.has(key)
  }

  /** @param work for the first caller; all get its answer */
  share(
    key: string,
    { reference, signal, span }: ShareOptions,
    work: (ends: AbortSignal, run: Readonly<Run>) => Promise<Resolution>,
  ): Promise<Resolution> {
    if (span !== undefined && this.#shared.has(key)) {
      markCoalesced(span, [...this.#runs].findLast((run) => run.key === key)?.span)
    }
    return this.#shared.run(key, signal, (ends) => {
      const run = { key, reference, span, isOutdated: false }
      this.#runs.add(run)
      return work(ends, run).finally(() => this.#runs.delete(run))
    })
  }

  /** Later callers join none of these references any more. */
  expire(isChanged: (reference: string) => boolean): void {
    for (const run of this.#runs) {
      if (!isChanged(formatReference(run.reference))) continue
      run.isOutdated = true
      this.#shared.forget(run.key)
    }
  }
}
