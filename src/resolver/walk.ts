import { type ResolveError, toResolveError } from '../errors.ts'
import { endedError, lateError } from './attempt.ts'
import type { Clock } from './clock.ts'
import { createProbe, type Patience, type Probe } from './probe.ts'
import type { WalkRecord } from './record.ts'
import type { Candidate } from './types.ts'

export interface WalkLimits {
  /** The next candidate starts when this long nothing was heard. */
  readonly hedgeDelayMs: number
  /** How long a better candidate is still preferred while a worse one has answered. */
  readonly probeBudgetMs: number
}

export type Ask<T> = (candidate: Candidate, signal: AbortSignal) => Promise<T>

/**
 * What has to be settled before a candidate may be asked; undefined: nothing. It rejects with a
 * ResolveError for one that may not be asked at all, and has to settle by itself.
 */
export type Gate = (candidate: Candidate) => Promise<void> | undefined

export interface WalkOptions<T> {
  /** For error texts: what is looked for. */
  readonly what: string
  readonly limits: WalkLimits
  /** Of these candidates, and maybe others; what becomes of them is written there. */
  readonly record: WalkRecord<T>
  readonly gate?: Gate
  readonly clock: Clock
  readonly signal: AbortSignal
}

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

class Walk<T> {
  readonly #candidates: readonly Candidate[]
  readonly #ask: Ask<T>
  readonly #options: WalkOptions<T>
  readonly #resolve: (found: Found<T>) => void
  readonly #reject: (error: ResolveError) => void
  readonly #probes = new Map<number, Probe>()
  readonly #waiting: number[]
  readonly #resting: number[] = []
  #best: { readonly index: number; readonly value: T } | undefined
  #cancelHedge: () => void = () => {}
  #over = false

  constructor(
    candidates: readonly Candidate[],
    ask: Ask<T>,
    options: WalkOptions<T>,
    resolve: (found: Found<T>) => void,
    reject: (error: ResolveError) => void,
  ) {
    this.#candidates = candidates
    this.#ask = ask
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#waiting = candidates.map((_, index) => index)
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

  #startNext(): void {
    this.#cancelHedge()
    const admitted = this.#nextAdmitted()
    const index = admitted ?? this.#nextResting()
    if (index === undefined) {
      this.#conclude()
      return
    }
    const patience = admitted === undefined ? 'lastResort' : this.#patienceWith(index)
    this.#probe(index, patience)
    if (patience === 'trial') {
      this.#startNext()
      return
    }
    this.#cancelHedge = this.#options.clock.after(this.#options.limits.hedgeDelayMs, () => {
      if (this.#best === undefined) this.#startNext()
    })
  }

  #nextAdmitted(): number | undefined {
    const { record } = this.#options
    for (let index = this.#waiting.shift(); index !== undefined; index = this.#waiting.shift()) {
      if (record.admits(this.#candidate(index))) return index
      if (record.passedOver(this.#candidate(index))) this.#resting.push(index)
    }
    return undefined
  }

  #patienceWith(index: number): Patience {
    const isOnTrial = this.#options.record.isOnTrial(this.#candidate(index))
    return isOnTrial && this.#waiting.length > 0 ? 'trial' : 'ordinary'
  }

  /** Only when nobody else may still answer: hedging into a dead registry would cost its budget. */
  #nextResting(): number | undefined {
    return this.#pending() ? undefined : this.#resting.shift()
  }

  #probe(index: number, patience: Patience): void {
    const { gate, record } = this.#options
    const candidate = this.#candidate(index)
    const probe = createProbe(candidate, patience)
    this.#probes.set(index, probe)
    const opening = gate?.(candidate)
    record.begun(candidate)
    if (opening === undefined) this.#run(index, probe)
    else {
      opening.then(
        () => this.#run(index, probe),
        (thrown: unknown) => this.#barred(probe, toResolveError(thrown)),
      )
    }
  }

  #run(index: number, probe: Probe): void {
    if (this.#over) return
    const { clock, limits } = this.#options
    probe.state = 'running'
    probe.cancelBudget = clock.after(limits.probeBudgetMs, () => {
      if (probe.patience !== 'ordinary') {
        this.#giveUp(probe)
        return
      }
      probe.state = 'late'
      this.#conclude()
    })
    this.#ask(probe.candidate, probe.controller.signal).then(
      (value) => this.#succeeded(index, probe, value),
      (thrown: unknown) => this.#failed(probe, toResolveError(thrown)),
    )
  }

  #giveUp(probe: Probe): void {
    this.#failed(probe, lateError(this.#options.limits.probeBudgetMs))
    probe.controller.abort()
  }

  #succeeded(index: number, probe: Probe, value: T): void {
    if (probe.state === 'done') return
    this.#finish(probe)
    if (this.#over) {
      this.#options.record.trialEnded(probe.candidate)
      return
    }
    this.#options.record.answered(probe.candidate, value)
    if (this.#best === undefined || index < this.#best.index) this.#best = { index, value }
    this.#conclude()
  }

  #failed(probe: Probe, error: ResolveError): void {
    if (probe.state === 'done') return
    this.#finish(probe)
    if (this.#over) {
      this.#options.record.trialEnded(probe.candidate, error)
      return
    }
    this.#options.record.failed(probe.candidate, error)
    // Whom it was tried beside is still being asked.
    if (probe.patience === 'trial' && this.#pending()) this.#conclude()
    else this.#goOn()
  }

  #barred(probe: Probe, error: ResolveError): void {
    if (this.#over) return
    this.#finish(probe)
    this.#options.record.barred(probe.candidate, error)
    this.#goOn()
  }

  #goOn(): void {
    if (this.#best === undefined) this.#startNext()
    else this.#conclude()
  }

  /** Ends the walk if nothing that may still come could change its outcome. */
  #conclude(): void {
    if (this.#over) return
    const best = this.#best
    if (best !== undefined) {
      const better = [...this.#probes].some(
        ([index, { patience, state }]) =>
          index < best.index && patience !== 'trial' && (state === 'running' || state === 'held'),
      )
      if (!better) this.#succeed(best.index, best.value)
      return
    }
    if (!this.#pending() && this.#waiting.length === 0) {
      this.#end()
      this.#reject(this.#options.record.error(this.#options.what))
    }
  }

  #pending(): boolean {
    return [...this.#probes.values()].some((probe) => probe.state !== 'done')
  }

  #succeed(index: number, value: T): void {
    this.#abandon('a better answer was there', (other) => other < index)
    this.#end()
    this.#resolve({ candidate: this.#candidate(index), value })
  }

  readonly #abort = (): void => {
    if (this.#over) return
    this.#abandon('the walk was ended', () => true)
    this.#end()
    const { record, signal, what } = this.#options
    this.#reject(endedError(what, signal.reason, record.attempts))
  }

  /** @param matters whether it counts against that one if it was late */
  #abandon(message: string, matters: (index: number) => boolean): void {
    for (const [index, probe] of this.#probes) {
      if (probe.state === 'done') continue
      if (probe.patience === 'trial') {
        this.#options.record.abandoned(probe.candidate, 'not waited for: it failed lately', false)
        continue
      }
      const tooSlow = probe.state === 'late' && matters(index)
      this.#options.record.abandoned(probe.candidate, message, tooSlow)
    }
  }

  #finish(probe: Probe): void {
    probe.state = 'done'
    probe.cancelBudget()
  }

  #end(): void {
    this.#over = true
    this.#cancelHedge()
    this.#options.signal.removeEventListener('abort', this.#abort)
    for (const probe of this.#probes.values()) {
      // It ends by itself, within its budget.
      if (probe.patience === 'trial' && probe.state === 'running') continue
      this.#finish(probe)
      probe.controller.abort()
    }
  }

  #candidate(index: number): Candidate {
    return this.#candidates[index] as Candidate
  }
}
