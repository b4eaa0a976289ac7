import type { ResolveError } from '../errors.ts'
import { Lineup } from './lineup.ts'
import { type Patience, Probe, type ProbeParty } from './probe.ts'
import type { Candidate } from './types.ts'
import type { Ask, WalkOptions } from './walk-options.ts'

export interface Found<T> {
  readonly candidate: Candidate
  readonly value: T
}

/**
 * Asks the candidates for one answer: in order, the next one as soon as one failed or the hedge
 * delay passed. The best answer wins: a worse candidate's is held back while a better one is still
 * inside its probe budget, or waits at its gate. Registries that rest after a failure are passed
 * over, and asked after all when there is nobody else; one that asked for quiet (429) is left alone
 * even then. One that has rested is tried beside the next, so that a dead one costs nobody its budget
 * again.
 *
 * Time in line at a busy registry is none of its budget, and nothing is said against it for that. But
 * as after any silence the next one is asked, and its answer does not wait for who is still in line:
 * how long that takes nobody knows, and who leaves makes the line shorter.
 *
 * @throws ResolveError with all attempts: the most telling code of the failures, or CANCELED /
 * DEADLINE_EXCEEDED when the signal ended the walk.
 */
export function walk<T>(
  candidates: readonly Candidate[],
  ask: Ask<T>,
  options: WalkOptions<T>,
): Promise<Found<T>> {
  return new Promise((resolve, reject) => {
    new Walk(candidates, ask, options, resolve, reject).begin()
  })
}

class Walk<T> implements ProbeParty<T> {
  readonly #lineup: Lineup
  readonly #ask: Ask<T>
  readonly #options: WalkOptions<T>
  readonly #resolve: (found: Found<T>) => void
  readonly #reject: (error: ResolveError) => void
  readonly #probes: Probe<T>[] = []
  #best: { readonly probe: Probe<T>; readonly value: T } | undefined
  /** The one that was asked last; after it the next one's time comes. */
  #hedged: Probe<T> | undefined
  #cancelHedge: () => void = () => {}
  #over = false

  constructor(
    candidates: readonly Candidate[],
    ask: Ask<T>,
    options: WalkOptions<T>,
    resolve: (found: Found<T>) => void,
    reject: (error: ResolveError) => void,
  ) {
    this.#lineup = new Lineup(candidates, options.record)
    this.#ask = ask
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(): void {
    const { signal } = this.#options
    if (signal.aborted) {
      this.#abort()
      return
    }
    signal.addEventListener('abort', this.#abort, { once: true })
    this.#startNext()
  }

  answered(probe: Probe<T>, value: T): void {
    if (this.#best === undefined || probe.place.index < this.#best.probe.place.index) {
      this.#best = { probe, value }
    }
    this.#conclude()
  }

  failed({ place: { patience } }: Probe<T>): void {
    // Whom it was tried beside is still being asked.
    const isBeside = patience === 'trial' && this.#isPending()
    if (this.#best === undefined && !isBeside) this.#startNext()
    else this.#conclude()
  }

  late(): void {
    this.#conclude()
  }

  entered(probe: Probe<T>): void {
    if (this.#hedged === probe) this.#hedge(probe)
  }

  /** All that were in line with it would find out one after the other. */
  turnedAway(probe: Probe<T>): void {
    this.#lineup.passOver(probe.place.index)
    this.failed(probe)
  }

  #startNext(): void {
    this.#hedged = undefined
    this.#cancelHedge()
    const admitted = this.#lineup.next()
    // Hedging into a dead registry would cost its budget.
    const index = admitted ?? (this.#isPending() ? undefined : this.#lineup.lastResort())
    if (index === undefined) {
      this.#conclude()
      return
    }
    const candidate = this.#lineup.candidate(index)
    const patience = admitted === undefined ? 'lastResort' : this.#patienceWith(candidate)
    const probe = new Probe<T>({ index, candidate, patience }, this.#options, this)
    this.#probes.push(probe)
    if (patience !== 'trial') this.#hedge(probe)
    probe.begin(this.#ask)
    if (patience === 'trial') this.#startNext()
  }

  #patienceWith(candidate: Candidate): Patience {
    const isOnTrial = this.#options.record.isOnTrial(candidate)
    return isOnTrial && this.#lineup.hasMore ? 'trial' : 'ordinary'
  }

  #hedge(probe: Probe<T>): void {
    const { clock, limits } = this.#options
    this.#cancelHedge()
    this.#hedged = probe
    this.#cancelHedge = clock.after(limits.hedgeDelayMs, () => {
      if (this.#best === undefined) this.#startNext()
    })
  }

  /** Ends the walk if nothing that may still come could change its outcome. */
  #conclude(): void {
    const best = this.#best
    if (best !== undefined) {
      const { index } = best.probe.place
      const isBetter = (other: Probe<T>): boolean => other.place.index < index
      if (this.#probes.some((other) => isBetter(other) && other.isAwaited)) return
      this.#end('a better answer was there', isBetter)
      this.#resolve({ candidate: best.probe.place.candidate, value: best.value })
    } else if (!this.#isPending() && !this.#lineup.hasMore) {
      this.#end('the walk was ended', () => false)
      this.#reject(this.#options.record.error(this.#options.what))
    }
  }

  #isPending(): boolean {
    return this.#probes.some(({ isDone }) => !isDone)
  }

  readonly #abort = (): void => {
    if (this.#over) return
    this.#end('the walk was ended', () => true)
    const { record, signal, what } = this.#options
    this.#reject(record.ended(what, signal.reason))
  }

  /** @param blames whom it counts against to be late */
  #end(message: string, blames: (probe: Probe<T>) => boolean): void {
    this.#over = true
    this.#cancelHedge()
    this.#options.signal.removeEventListener('abort', this.#abort)
    for (const probe of this.#probes) probe.leave(message, blames(probe))
  }
}
