import { type Attempt, ResolveError, toResolveError } from '../errors.ts'
import { failedAttempt, UNHEALTHY, walkError } from './attempt.ts'
import type { Clock } from './clock.ts'
import type { Candidate, Health } from './types.ts'

export interface WalkLimits {
  /** The next candidate starts when this long nothing was heard. */
  readonly hedgeDelayMs: number
  /** How long a better candidate is still preferred while a worse one has answered. */
  readonly probeBudgetMs: number
}

/** For a 429 without Retry-After. */
const DEFAULT_PAUSE_MS = 10_000

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
  readonly #candidates: readonly Candidate[]
  readonly #ask: (candidate: Candidate, signal: AbortSignal) => Promise<T>
  readonly #options: WalkOptions
  readonly #resolve: (found: Found<T>) => void
  readonly #reject: (error: ResolveError) => void
  readonly #probes = new Map<number, Probe>()
  readonly #attempts: (Attempt | undefined)[]
  readonly #answers = new Map<Candidate, T>()
  readonly #errors: unknown[] = []
  readonly #resting: number[] = []
  #waiting: number[]
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
    this.#candidates = candidates
    this.#ask = ask
    this.#options = options
    this.#resolve = resolve
    this.#reject = reject
    this.#attempts = candidates.map(() => undefined)
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
      const registry = this.#registry(index)
      if (this.#options.health.admit(registry)) return index
      this.#passOver(index, registry)
    }
    return undefined
  }

  #passOver(index: number, registry: string): void {
    const retryAfterMs = this.#options.health.parkedMs(registry)
    const parked = retryAfterMs > 0
    const message = parked ? 'not asked: it asked for a pause' : 'not asked: it failed a moment ago'
    this.#attempts[index] = { registry, step: 'connect', outcome: 'skipped', ms: 0, message }
    if (parked) this.#errors.push(new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs }))
    else this.#resting.push(index)
  }

  /** Only when nobody else may still answer: hedging into a dead registry would cost its budget. */
  #nextResting(): number | undefined {
    return this.#pending() ? undefined : this.#resting.shift()
  }

  #probe(index: number, lastResort: boolean): void {
    const candidate = this.#candidates[index] as Candidate
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
    this.#ask(candidate, probe.controller.signal).then(
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
    const registry = this.#registry(index)
    this.#options.health.success(registry)
    this.#attempts[index] = { registry, step: 'manifest', outcome: 'ok', ms: this.#elapsed(probe) }
    this.#answers.set(this.#candidates[index] as Candidate, value)
    if (this.#best === undefined || index < this.#best.index) this.#best = { index, value }
    this.#conclude()
  }

  #failed(index: number, probe: Probe, error: ResolveError): void {
    if (this.#over || probe.state === 'done') return
    this.#finish(probe)
    const registry = this.#registry(index)
    const attempt = failedAttempt(registry, error, this.#elapsed(probe))
    this.#attempts[index] = attempt
    this.#errors.push(error)
    if (UNHEALTHY.has(attempt.outcome)) {
      const limited = attempt.outcome === 'rate_limited'
      const retryAfterMs = error.retryAfterMs ?? DEFAULT_PAUSE_MS
      this.#options.health.failure(registry, limited ? { retryAfterMs } : {})
    } else {
      this.#options.health.success(registry)
    }
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
    if (!this.#pending() && this.#waiting.length === 0) this.#fail()
  }

  #pending(): boolean {
    return [...this.#probes.values()].some((probe) => probe.state !== 'done')
  }

  #succeed(index: number, value: T): void {
    const left = [...this.#probes].filter(([, probe]) => probe.state !== 'done')
    for (const [other, probe] of left) {
      // A better one that let its whole budget pass must not cost it again next time.
      if (probe.state === 'late' && other < index) {
        this.#options.health.failure(this.#registry(other))
      }
      this.#attempts[other] = this.#abandoned(other, probe, 'a better answer was there')
    }
    this.#end()
    this.#resolve({
      candidate: this.#candidates[index] as Candidate,
      value,
      answers: this.#answers,
      attempts: this.#listAttempts(),
    })
  }

  #fail(): void {
    this.#end()
    this.#reject(walkError(this.#options.what, this.#errors, this.#listAttempts()))
  }

  readonly #abort = (): void => {
    if (this.#over) return
    for (const [index, probe] of this.#probes) {
      if (probe.state === 'done') continue
      if (probe.state === 'late') this.#options.health.failure(this.#registry(index))
      this.#attempts[index] = this.#abandoned(index, probe, 'the walk was ended')
    }
    this.#end()
    const ending = toResolveError(this.#options.signal.reason)
    const code = ending.code === 'DEADLINE_EXCEEDED' ? ending.code : 'CANCELED'
    const message = `${this.#options.what}: ${code === 'CANCELED' ? 'the caller went away' : 'out of time'}`
    const attempts = this.#listAttempts()
    this.#reject(new ResolveError(code, message, { cause: ending, attempts }))
  }

  #abandoned(index: number, probe: Probe, message: string): Attempt {
    const outcome = probe.state === 'late' ? 'timeout' : 'canceled'
    const registry = this.#registry(index)
    return { registry, step: 'manifest', outcome, ms: this.#elapsed(probe), message }
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

  #listAttempts(): readonly Attempt[] {
    return this.#attempts.filter((attempt) => attempt !== undefined)
  }

  #registry(index: number): string {
    return (this.#candidates[index] as Candidate).registry
  }

  #elapsed(probe: Probe): number {
    return this.#options.clock.now() - probe.startedAt
  }
}
