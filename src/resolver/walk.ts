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
 * Asks the candidates for one answer: in order, the next one as soon as one failed or was silent for its
 * probe budget, which counts from its last progress. The best answer wins: a worse candidate's is held
 * back while a better one is still inside its budget, or waits at its gate.
 *
 * A configured private registry is hedged with: asked by HEAD when the one before it has been silent for the
 * hedge delay, and for the rest once everything before it has failed or is late. Public registries and
 * origins that are not configured count requests, and are asked in their turn alone.
 *
 * Registries that rest after a failure are passed over, and asked after all when nobody else has an answer;
 * one that was silent not even then if another one said no, since that would cost its budget each time; one
 * that asked for quiet (429) never. One that has rested is tried beside the next, so that a dead one costs
 * nobody its budget again.
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

/** A registry that works again mostly answers within this. */
const TRIAL_GRACE_MS = 300

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
    this.#proceed()
  }

  failed(): void {
    this.#proceed()
  }

  late(): void {
    this.#proceed()
  }

  ready(): void {
    this.#proceed()
  }

  entered(probe: Probe<T>): void {
    if (this.#hedged === probe) this.#hedge(probe)
  }

  /** All that were in line with it would find out one after the other. */
  turnedAway(probe: Probe<T>): void {
    this.#lineup.passOver(probe.place.index)
    this.#proceed()
  }

  /** The best one that is waited for is no hedge any more; where there is none, the next one's time comes. */
  #proceed(): void {
    const best = this.#best?.probe.place.index ?? Number.POSITIVE_INFINITY
    const first = this.#probes.find(({ isAwaited, place }) => isAwaited && place.index < best)
    first?.promote()
    if (first === undefined && this.#best === undefined) this.#startNext()
    else this.#conclude()
  }

  /** @param beside the one before it is silent: only one that may be asked beside it */
  #startNext(beside = false): void {
    this.#hedged = undefined
    this.#cancelHedge()
    const admitted = this.#lineup.next(beside ? ({ isPrivate }) => isPrivate === true : undefined)
    if (admitted === undefined && beside) return
    const { record } = this.#options
    // Asked while somebody is waited for, a dead registry would cost its budget.
    const index =
      admitted ?? (this.#isPending() ? undefined : this.#lineup.lastResort(record.isDenied))
    if (index === undefined) {
      this.#conclude()
      return
    }
    const candidate = this.#lineup.candidate(index)
    const patience = admitted === undefined ? 'lastResort' : this.#patienceWith(candidate)
    const isHedge = beside && this.#probes.some(({ isAwaited }) => isAwaited)
    const probe = new Probe<T>({ index, candidate, patience, isHedge }, this.#options, this)
    this.#probes.push(probe)
    probe.begin(this.#ask)
    if (patience === 'trial') this.#startNext(beside)
    else this.#hedge(probe)
  }

  #patienceWith(candidate: Candidate): Patience {
    const isOnTrial = this.#options.record.isOnTrial(candidate)
    return isOnTrial && this.#lineup.hasMore ? 'trial' : 'ordinary'
  }

  /** Sees to it that another one is asked beside it, should it be silent. */
  #hedge(probe: Probe<T>): void {
    const { clock, limits, record } = this.#options
    const { hedgeDelayMs = 0 } = limits
    this.#cancelHedge()
    this.#hedged = probe
    if (hedgeDelayMs === 0) return
    const leftMs = (): number =>
      probe.isInLine ? 0 : hedgeDelayMs - record.silentMs(probe.place.candidate)
    const watch = (ms: number): void => {
      this.#cancelHedge = clock.after(ms, () => {
        if (this.#best !== undefined || probe.isReady) return
        if (leftMs() > 0) watch(leftMs())
        else this.#startNext(true)
      })
    }
    watch(hedgeDelayMs)
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
      const graceMs = this.#graceMs()
      if (graceMs > 0) {
        this.#cancelHedge()
        this.#cancelHedge = this.#options.clock.after(graceMs, () => this.#conclude())
        return
      }
      this.#end('the walk was ended', () => false)
      this.#reject(this.#options.record.error(this.#options.what))
    }
  }

  /** Whether an answer may still come, but of those that are tried beside others. */
  #isPending(): boolean {
    return this.#probes.some(({ isDone, isTrial }) => !isDone && !isTrial)
  }

  /**
   * How long those that are tried are still waited for, when all others have said what they have to say. One
   * that was silent lately is not, but for a moment, where another one said no: it would cost its budget with
   * every image that is not there.
   */
  #graceMs(): number {
    const { limits, record } = this.#options
    const graces = this.#probes
      .filter(({ isDone }) => !isDone)
      .map(({ place: { candidate } }) => {
        const isSilent = record.isDenied && record.isSilent(candidate)
        const graceMs = isSilent ? TRIAL_GRACE_MS : limits.probeBudgetMs
        return graceMs - record.silentMs(candidate)
      })
    return Math.max(0, ...graces)
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
