import { median, type Spread } from './statistics.ts'

/** A number with the digits it deserves, or the rounds that it comes from. */
export type Cell = string | number | Spread

export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
  /** What one has to know to read it. */
  readonly note?: string
  /** A page of docs that shows it too, below `<!-- measured: … -->`. */
  readonly copiedTo?: string
}

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Plot {
  /** Of its file: `cache-size`. */
  readonly name: string
  readonly title: string
  readonly xLabel: string
  readonly yLabel: string
  readonly logX?: boolean
  readonly logY?: boolean
  readonly series: readonly Series[]
}

/** One promise, and what became of it. */
export interface Measurement {
  readonly what: string
  readonly unit: string
  readonly budget: number
  /** Whether the budget is the most or the least that is allowed. */
  readonly bound: 'at most' | 'at least'
  readonly measured: number
  /** What this run and those before it have measured of the same commit, the last one at the end. */
  readonly runs?: readonly number[]
}

/** All that one part of the suite found out. */
export interface Findings {
  readonly tables: readonly Table[]
  readonly plots?: readonly Plot[]
  readonly budgets?: readonly Measurement[]
  /** What is dearer with us than without, in sentences. */
  readonly slower?: readonly string[]
  /** What could not be measured here, and why. */
  readonly missing?: readonly string[]
}

export interface Settings {
  /** A look instead of a measurement: one round, few samples. */
  readonly quick: boolean
  /** Numbers of rounds, from 0: as many as wanted, or as there is time for. */
  rounds(wanted: number): Iterable<number>
}

/** What a run of one part leaves in benchmarks/results. */
export interface PartResult extends Findings {
  readonly part: string
  readonly title: string
  readonly tookSeconds: number
  readonly machine: Machine
}

export interface Machine {
  readonly cpu: string
  readonly cpus: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  /** With `+` where the tree differed from it. */
  readonly commit: string
}

export function isKept({ bound, budget, measured, runs = [measured] }: Measurement): boolean {
  const value = median(runs)
  return bound === 'at most' ? value <= budget : value >= budget
}

/** That many runs are told of; it takes so many to see what is chance. */
const MAX_RUNS = 3

/** The result of a run, with what earlier runs of the same commit have measured. */
export function withEarlierRuns(result: PartResult, earlier: PartResult | undefined): PartResult {
  const isOfCommit = earlier?.machine.commit === result.machine.commit
  const before = isOfCommit ? (earlier.budgets ?? []) : []
  const budgets = result.budgets?.map((each) => {
    // One call may have several budgets: of time, of requests, of processor time.
    const isSame = ({ unit, what }: Measurement): boolean =>
      unit === each.unit && what === each.what
    const { runs, measured } = before.find(isSame) ?? {}
    const known = runs ?? (measured === undefined ? [] : [measured])
    return { ...each, runs: [...known, each.measured].slice(-MAX_RUNS) }
  })
  return budgets === undefined ? result : { ...result, budgets }
}
