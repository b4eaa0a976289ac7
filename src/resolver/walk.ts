import { type Attempt, ResolveError, toResolveError } from '../errors.ts'
import type { Clock } from './clock.ts'
import { WalkRecord } from './record.ts'
import type { Candidate, Health } from './types.ts'

export interface WalkLimits {
  /** The next candidate starts when this long nothing was heard. */
  readonly hedgeDelayMs: number
  /** How long a better candidate is still preferred while a worse one has answered. */
  readonly probeBudgetMs: number
}

export interface WalkOptions {
  /** For error texts: what is looked for. */
  readonly what: string
  readonly limits: WalkLimits
  readonly health: Health
  readonly clock: Clock
  readonly signal: AbortSignal
}

export interface Found<T> {
  readonly candidate: Candidate
  readonly value: T
  /** Everything that was answered in time, the winner's included. */
  readonly answers: ReadonlyMap<Candidate, T>
  readonly attempts: readonly Attempt[]
}

interface Probe {
  readonly controller: AbortController
  readonly startedAt: number
  state: 'running' | 'late' | 'done'
  cancelBudget: () => void
}

/**
 * Asks the candidates for one answer: in order, the next one as soon as one failed or the hedge
 * delay passed. The best answer wins: a worse candidate's is held back while a better one is still
 * inside its probe budget. Registries that rest after a failure are passed over, and asked after
 * all when there is nobody else; one that asked for quiet (429) is left alone even then.
 *
 * @throws ResolveError with all attempts: the most telling code of the failures, or CANCELED /
 * DEADLINE_EXCEEDED when the signal ended the walk.
 */
export function walk<T>(
  candidates: readonly Candidate[],
  ask: (candidate: Candidate, signal: AbortSignal) => Promise<T>,
  options: WalkOptions,
): Promise<Found<T>> {
  return new Promise((resolve, reject) => {
    new Walk(candidates, ask, options, resolve, reject).begin()
  })
}

class Walk<T> {
  readonly #ask: (candidate: Candidate, signal: AbortSignal) => Promise<T>
  readonly #options: WalkOptions
  readonly #resolve: (found: Found<T>) => void
  readonly #reject: (error: ResolveError) => void
  readonly #record: WalkRecord<T>
  readonly #probes = new Map<number, Probe>()
  readonly #waiting: number[]
  readonly #resting: number[] = []
  #best: { readonly index: number; readonly value: T } | undefined
  #cancelHedge: () => void = () => {}
  #over = false

  constructor(
    candidates: readonly Candidate[],
    ask: (candidate: Candidate, signal: AbortSignal) => Promise<T>,
    options: WalkOptions,
    resolve: (found: Found<T>) => void,
    reject: (error: ResolveError) => void,
  ) {
    this.#ask = ask
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#record = new WalkRecord(candidates, options.health)
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
    this.#probe(index, admitted === undefined)
    this.#cancelHedge = this.#options.clock.after(this.#options.limits.hedgeDelayMs, () => {
      if (this.#best === undefined) this.#startNext()
    })
  }

  #nextAdmitted(): number | undefined {
    for (let index = this.#waiting.shift(); index !== undefined; index = this.#waiting.shift()) {
      if (this.#options.health.admit(this.#record.candidate(index).registry)) return index
      if (this.#record.passedOver(index)) this.#resting.push(index)
    }
    return undefined
  }

  /** Only when nobody else may still answer: hedging into a dead registry would cost its budget. */
  #nextResting(): number | undefined {
    return this.#pending() ? undefined : this.#resting.shift()
  }

  #probe(index: number, lastResort: boolean): void {
    const { clock, limits } = this.#options
    const probe: Probe = {
      controller: new AbortController(),
      startedAt: clock.now(),
      state: 'running',
      cancelBudget: clock.after(limits.probeBudgetMs, () => {
        probe.state = 'late'
        if (lastResort) this.#giveUp(index, probe)
        else this.#conclude()
      }),
    }
    this.#probes.set(index, probe)
    this.#ask(this.#record.candidate(index), probe.controller.signal).then(
      (value) => this.#succeeded(index, probe, value),
      (thrown: unknown) => this.#failed(index, probe, toResolveError(thrown)),
    )
  }

  #giveUp(index: number, probe: Probe): void {
    const message = `no answer within ${this.#options.limits.probeBudgetMs} ms`
    this.#failed(index, probe, new ResolveError('DEADLINE_EXCEEDED', message))
    probe.controller.abort()
  }

  #succeeded(index: number, probe: Probe, value: T): void {
    if (this.#over || probe.state === 'done') return
    this.#finish(probe)
    this.#record.answered(index, value, this.#elapsed(probe))
    if (this.#best === undefined || index < this.#best.index) this.#best = { index, value }
    this.#conclude()
  }

  #failed(index: number, probe: Probe, error: ResolveError): void {
    if (this.#over || probe.state === 'done') return
    this.#finish(probe)
    this.#record.failed(index, error, this.#elapsed(probe))
    if (this.#best === undefined) this.#startNext()
    else this.#conclude()
  }

  /** Ends the walk if nothing that may still come could change its outcome. */
  #conclude(): void {
    if (this.#over) return
    const best = this.#best
    if (best !== undefined) {
      const better = [...this.#probes].some(
        ([index, probe]) => probe.state === 'running' && index < best.index,
      )
      if (!better) this.#succeed(best.index, best.value)
      return
    }
    if (!this.#pending() && this.#waiting.length === 0) {
      this.#end()
      this.#reject(this.#record.error(this.#options.what))
    }
  }

  #pending(): boolean {
    return [...this.#probes.values()].some((probe) => probe.state !== 'done')
  }

  #succeed(index: number, value: T): void {
    this.#abandon('a better answer was there', (other) => other < index)
    this.#end()
    const { answers, attempts } = this.#record
    this.#resolve({ candidate: this.#record.candidate(index), value, answers, attempts })
  }

  readonly #abort = (): void => {
    if (this.#over) return
    this.#abandon('the walk was ended', () => true)
    this.#end()
    const { attempts } = this.#record
    const ending = toResolveError(this.#options.signal.reason)
    const code = ending.code === 'DEADLINE_EXCEEDED' ? ending.code : 'CANCELED'
    const why = code === 'CANCELED' ? 'the caller went away' : 'out of time'
    const message = `${this.#options.what}: ${why}`
    this.#reject(new ResolveError(code, message, { cause: ending, attempts }))
  }

  /** @param matters whether it counts against that one if it was late */
  #abandon(message: string, matters: (index: number) => boolean): void {
    for (const [index, probe] of this.#probes) {
      if (probe.state === 'done') continue
      const tooSlow = probe.state === 'late' && matters(index)
      this.#record.abandoned(index, this.#elapsed(probe), message, tooSlow)
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
      probe.cancelBudget()
      probe.controller.abort()
    }
  }

  #elapsed(probe: Probe): number {
    return this.#options.clock.now() - probe.startedAt
  }
}
