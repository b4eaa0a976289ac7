import { type ResolveError, toResolveError } from '../errors.ts'
import { lateError } from './attempt.ts'
import type { Candidate } from './types.ts'
import type { Ask, WalkOptions } from './walk-options.ts'

/**
 * What is done when a budget is over. `ordinary`: its answer is still welcome, if it is the first one.
 * `lastResort`: nobody else is left, and it is in doubt. `trial`: it failed lately, and others are asked
 * at the same time; nobody waits for it, but how it does is told to the health of registries.
 */
export type Patience = 'ordinary' | 'lastResort' | 'trial'

/** Which of a walk's candidates, and how. */
export interface ProbePlace {
  /** In the order of candidates; 0 is the best. */
  readonly index: number
  readonly candidate: Candidate
  readonly patience: Patience
}

/** Who sent it out. */
export interface ProbeParty<T> {
  answered(probe: Probe<T>, value: T): void
  /** It has no answer, and the record says why. */
  failed(probe: Probe<T>): void
  /** Its budget is over, and nobody need wait for it any more. */
  late(): void
  /** It stood in line, and is asked now. */
  entered(probe: Probe<T>): void
  /** It stood in line, and its registry failed meanwhile: it was not asked. */
  turnedAway(probe: Probe<T>): void
}

/** `held`: its gate is not open yet. `inLine`: many ask that registry, and it is not its turn. */
type State = 'held' | 'running' | 'inLine' | 'late' | 'done'

type Options<T> = Omit<WalkOptions<T>, 'what' | 'signal'>

/** One candidate that a walk asks: opens its gate, keeps its budget, and tells the record. */
export class Probe<T> {
  readonly place: ProbePlace
  readonly #options: Options<T>
  readonly #party: ProbeParty<T>
  readonly #controller = new AbortController()
  #state: State = 'held'
  #cancelBudget: () => void = () => {}
  /** The walk ended without it. */
  #isLeft = false

  constructor(place: ProbePlace, options: Options<T>, party: ProbeParty<T>) {
    this.place = place
    this.#options = options
    this.#party = party
  }

  get isDone(): boolean {
    return this.#state === 'done'
  }

  /** Whether its answer is worth waiting for, where worse ones are there. */
  get isAwaited(): boolean {
    return this.place.patience !== 'trial' && ['running', 'held'].includes(this.#state)
  }

  begin(ask: Ask<T>): void {
    const { gate, record } = this.#options
    const { candidate } = this.place
    const opening = gate?.(candidate)
    record.begun(candidate)
    if (opening === undefined) {
      this.#ask(ask)
      return
    }
    opening.then(
      () => {
        if (this.isDone) return
        record.begun(candidate)
        this.#ask(ask)
      },
      (thrown: unknown) => this.#barred(toResolveError(thrown)),
    )
  }

  /**
   * The walk is over. A trial under way ends by itself, within its budget.
   *
   * @param blames whether it counts against the registry if it was late
   */
  leave(message: string, blames: boolean): void {
    if (this.isDone) return
    const { candidate, patience } = this.place
    const { record } = this.#options
    this.#isLeft = true
    if (patience === 'trial') record.abandoned(candidate, 'not waited for: it failed lately', false)
    else record.abandoned(candidate, message, blames && this.#state === 'late')
    if (patience === 'trial' && this.#state === 'running') return
    this.#end()
  }

  #ask(ask: Ask<T>): void {
    const { candidate } = this.place
    this.#run(this.#options.limits.probeBudgetMs)
    const turn = { waiting: () => this.#waiting(), entered: () => this.#entered() }
    ask(candidate, this.#controller.signal, turn).then(
      (value) => this.#succeeded(value),
      (thrown: unknown) => this.#failed(toResolveError(thrown)),
    )
  }

  #run(budgetMs: number): void {
    this.#state = 'running'
    this.#cancelBudget()
    this.#cancelBudget = this.#options.clock.after(budgetMs, () => this.#spent())
  }

  #spent(): void {
    const { limits, record } = this.#options
    const { candidate, patience } = this.place
    if (patience === 'ordinary') {
      this.#state = 'late'
      this.#party.late()
    } else if (this.#state === 'inLine') {
      record.abandoned(candidate, 'given up: it failed a moment ago', false)
      this.#end()
      this.#party.failed(this)
    } else {
      this.#failed(lateError(limits.probeBudgetMs))
      this.#controller.abort()
    }
  }

  #waiting(): void {
    this.#options.record.waiting(this.place.candidate)
    if (this.#state !== 'running') return
    if (this.#isLeft) {
      this.#end()
      return
    }
    this.#state = 'inLine'
    // At one that is in doubt nobody stands in line for longer than that.
    if (this.place.patience !== 'lastResort') this.#cancelBudget()
  }

  #entered(): void {
    const { limits, record } = this.#options
    const { candidate, patience } = this.place
    record.entered(candidate)
    if (this.#state !== 'inLine') return
    if (patience === 'ordinary' && record.isResting(candidate)) {
      this.#end()
      this.#party.turnedAway(this)
      return
    }
    this.#run(limits.probeBudgetMs - record.spentMs(candidate))
    this.#party.entered(this)
  }

  #succeeded(value: T): void {
    if (this.isDone) return
    const { record } = this.#options
    const { candidate } = this.place
    this.#finish()
    if (this.#isLeft) record.trialEnded(candidate)
    else {
      record.answered(candidate, value)
      this.#party.answered(this, value)
    }
  }

  #failed(error: ResolveError): void {
    if (this.isDone) return
    const { record } = this.#options
    const { candidate } = this.place
    this.#finish()
    if (this.#isLeft) record.trialEnded(candidate, error)
    else {
      record.failed(candidate, error)
      this.#party.failed(this)
    }
  }

  #barred(error: ResolveError): void {
    if (this.isDone) return
    this.#options.record.barred(this.place.candidate, error)
    this.#finish()
    this.#party.failed(this)
  }

  #end(): void {
    this.#finish()
    this.#controller.abort()
  }

  #finish(): void {
    this.#state = 'done'
    this.#cancelBudget()
  }
}
