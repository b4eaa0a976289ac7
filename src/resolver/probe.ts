import type { Ticket, Wait } from '../concurrency/semaphore.ts'
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
  /** It is asked beside a better one that is silent, and for no more than a HEAD until it is promoted. */
  readonly isHedge: boolean
}

/** Who sent it out. */
export interface ProbeParty<T> {
  answered(probe: Probe<T>, value: T): void
  /** It has no answer, and the record says why. */
  failed(): void
  /** Its budget is over, in line or not, and nobody need wait for it any more. */
  late(): void
  /** It is a hedge, and can go on when it is promoted. */
  ready(): void
  /** It stood in line, and is asked now. */
  entered(probe: Probe<T>): void
  /** It stood in line, and its registry failed meanwhile: it was not asked. */
  turnedAway(probe: Probe<T>): void
}

/**
 * `held`: its gate is not open yet. `inLine`: many ask that registry, and it is not its turn, or credentials
 * are looked up. `ready`: a hedge that has its HEAD, and waits to be promoted.
 */
type State = 'held' | 'running' | 'inLine' | 'ready' | 'late' | 'done'

type Options<T> = Omit<WalkOptions<T>, 'what' | 'signal'>

/** One candidate that a walk asks: opens its gate, keeps its budget, and tells the record. */
export class Probe<T> {
  readonly place: ProbePlace
  readonly #options: Options<T>
  readonly #party: ProbeParty<T>
  readonly #controller = new AbortController()
  #state: State = 'held'
  #cancelBudget: () => void = () => {}
  #isPromoted: boolean
  #goOn: () => void = () => {}
  /** The walk ended without it. */
  #isLeft = false

  constructor(place: ProbePlace, options: Options<T>, party: ProbeParty<T>) {
    this.place = place
    this.#options = options
    this.#party = party
    this.#isPromoted = !place.isHedge
  }

  get isDone(): boolean {
    return this.#state === 'done'
  }

  get isInLine(): boolean {
    return this.#state === 'inLine'
  }

  /** A hedge that has found it, so that no other one is needed. */
  get isReady(): boolean {
    return this.#state === 'ready'
  }

  get isTrial(): boolean {
    return this.place.patience === 'trial'
  }

  /** Whether its answer is worth waiting for, where worse ones are there. */
  get isAwaited(): boolean {
    return !this.isTrial && ['running', 'held', 'ready'].includes(this.#state)
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

  /** It is a hedge no more: the best one that is still waited for. */
  promote(): void {
    this.#isPromoted = true
    if (this.#state !== 'ready') return
    this.#options.record.progressed(this.place.candidate)
    this.#run()
    this.#goOn()
  }

  /**
   * The walk is over. A trial under way ends by itself, within its budget.
   *
   * @param blames whether it counts against the registry if it was late
   */
  leave(message: string, blames: boolean): void {
    if (this.isDone) return
    const { candidate } = this.place
    const { record } = this.#options
    this.#isLeft = true
    if (this.isTrial) record.abandoned(candidate, 'not waited for: it failed lately', false)
    else record.abandoned(candidate, message, blames && this.#state === 'late')
    if (this.isTrial && this.#state === 'running') return
    this.#end()
  }

  #ask(ask: Ask<T>): void {
    const { candidate, isHedge } = this.place
    this.#run()
    const ticket: Ticket = {
      waiting: (what) => this.#waiting(what),
      entered: () => this.#entered(),
    }
    const promoted = isHedge ? () => this.#promotion() : undefined
    ask(candidate, this.#controller.signal, ticket, promoted).then(
      (value) => this.#succeeded(value),
      (thrown: unknown) => this.#failed(toResolveError(thrown)),
    )
  }

  /** Settles when it is promoted; never where the walk ends before that. */
  #promotion(): Promise<void> {
    if (this.isDone) return new Promise(() => {})
    if (this.#isPromoted) return Promise.resolve()
    this.#state = 'ready'
    this.#cancelBudget()
    const promotion = new Promise<void>((resolve) => {
      this.#goOn = resolve
    })
    this.#party.ready()
    return promotion
  }

  #run(): void {
    this.#state = 'running'
    this.#watch(this.#leftMs())
  }

  #leftMs(): number {
    const { limits, record } = this.#options
    return limits.probeBudgetMs - record.silentMs(this.place.candidate)
  }

  #watch(ms: number): void {
    this.#cancelBudget()
    this.#cancelBudget = this.#options.clock.after(ms, () => {
      // What it said meanwhile is counted when the time seems to be up.
      const leftMs = this.#state === 'running' ? this.#leftMs() : 0
      if (leftMs > 0) this.#watch(leftMs)
      else this.#spent()
    })
  }

  #spent(): void {
    const { limits, record } = this.#options
    const { candidate, patience } = this.place
    if (patience === 'ordinary') {
      if (this.#state === 'running') this.#state = 'late'
      this.#party.late()
    } else if (this.#state === 'inLine') {
      record.abandoned(candidate, 'given up: it failed a moment ago', false)
      this.#end()
      this.#party.failed()
    } else {
      this.#failed(lateError(limits.probeBudgetMs))
      this.#controller.abort()
    }
  }

  #waiting(what?: Wait): void {
    const { limits, record } = this.#options
    record.waiting(this.place.candidate, what)
    if (this.#state !== 'running') return
    if (this.#isLeft) {
      this.#end()
      return
    }
    this.#state = 'inLine'
    if (this.isTrial) this.#cancelBudget()
    else this.#watch(limits.probeBudgetMs)
  }

  #entered(): void {
    const { record } = this.#options
    const { candidate, patience } = this.place
    record.entered(candidate)
    if (this.#state !== 'inLine') return
    if (patience === 'ordinary' && record.isResting(candidate)) {
      this.#end()
      this.#party.turnedAway(this)
      return
    }
    this.#run()
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
    const { candidate, patience } = this.place
    this.#finish()
    if (this.#isLeft) record.trialEnded(candidate, error)
    else {
      record.failed(candidate, error, patience !== 'ordinary')
      this.#party.failed()
    }
  }

  #barred(error: ResolveError): void {
    if (this.isDone) return
    this.#options.record.barred(this.place.candidate, error)
    this.#finish()
    this.#party.failed()
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
