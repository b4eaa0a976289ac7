import type { Daemon, DaemonOptions } from '../support/daemon.ts'
import type { Cleanup } from '../support/stack.ts'

/** One way to end the service from outside, or to starve its other clients. */
export interface Attack {
  /** For the table. */
  readonly name: string
  run(scene: AttackScene): Promise<AttackOutcome>
}

/** What an attack stands on; what it starts ends with `after`. */
export interface AttackScene extends Cleanup {
  /** Less of everything, for `npm test`. */
  readonly isShort: boolean
  /** Temporary, removed after the attack. */
  readonly folder: string
  /** The built program as a process of its own, with the flags of `npm start`. */
  start(options?: DaemonOptions): Promise<Daemon>
  /** Attacks it while a well-behaved client, in a process of its own, goes on calling it. */
  measure(siege: Siege): Promise<AttackOutcome>
}

export interface Siege {
  readonly daemon: Daemon
  readonly good: GoodClient
  /** Resolves when the attack is over and all its connections are closed. */
  attack(): Promise<void>
  /** For the table: what became of the attack. Asked when it is over. */
  note?(): string
}

/** Calls one after the other, 5 ms apart. */
export type GoodClient =
  | {
      readonly kind: 'http'
      /** A GET that answers 200, on a connection of its own each time. */
      readonly url: string
      /** Default 127.0.0.1; the service takes another loopback address for another client. */
      readonly from?: string
    }
  | {
      readonly kind: 'cri'
      readonly socketPath: string
      /** Default: Version, which the runtime answers. */
      readonly call?: string
      /** Of the runtime: what it takes by itself is measured beside, at the same time. */
      readonly runtimePath: string
      readonly runtimePid: number
    }

export interface AttackOutcome {
  readonly beforeRssMiB: number
  readonly peakRssMiB: number
  readonly afterRssMiB: number
  /** The good client's while nothing is attacked, before or after: the slower of the two. */
  readonly quietP99Ms: number
  readonly goodP99Ms: number
  /**
   * Without the time for which a process on the way of a call was ready to run and others had the
   * processors, which says nothing of the service.
   */
  readonly ownP99Ms: number
  /** The same, of such calls at the runtime itself during the attack; 0 where it has no part in them. */
  readonly runtimeP99Ms: number
  /** Calls of the good client during the attack, and how many of them failed. */
  readonly goodCalls: number
  readonly goodFailed: number
  /** What the service holds when its garbage is collected, before and after. */
  readonly beforeLiveMiB: number
  readonly afterLiveMiB: number
  readonly alive: boolean
  readonly note?: string
}

/** Of the whole process, under attack. */
export const MOST_PEAK_MIB = 200
/** What may stay when the garbage is collected: the allocator's pools, and code of a process that has worked. */
export const MOST_KEPT_MIB = 40
/** Of it what is in use: caches and compiled code. */
export const MOST_LIVE_MIB = 8
/** Where every process has a processor whenever it can use one. */
export const SLOWEST_MS = 100
/** Times what the runtime takes by itself, which is busy with what the attack brings there. */
const RUNTIME_RATIO = 2

/** @returns what is wrong; none: the attack was survived, and no call of the good client was slow for it */
export function problemsOf(outcome: AttackOutcome): readonly string[] {
  const { ownP99Ms, runtimeP99Ms } = outcome
  const slowestMs = SLOWEST_MS + RUNTIME_RATIO * runtimeP99Ms
  const isSlow = outcome.alive && ownP99Ms > slowestMs
  const slow = `the good client waited more than ${slowestMs.toFixed(0)} ms`
  return [...lastingProblemsOf(outcome), ...(isSlow ? [slow] : [])]
}

/** The same without times, which say more of the machine than of the service where it does other things. */
export function lastingProblemsOf(outcome: AttackOutcome): readonly string[] {
  const { alive, goodCalls, goodFailed, peakRssMiB } = outcome
  if (!alive) return ['the process died']
  const kept = outcome.afterRssMiB - outcome.beforeRssMiB
  const live = outcome.afterLiveMiB - outcome.beforeLiveMiB
  return [
    ...(peakRssMiB > MOST_PEAK_MIB ? [`it held more than ${MOST_PEAK_MIB} MiB`] : []),
    ...(kept > MOST_KEPT_MIB ? [`${kept.toFixed(0)} MiB did not come back`] : []),
    ...(live > MOST_LIVE_MIB ? [`${live.toFixed(0)} MiB are still in use`] : []),
    ...(goodCalls === 0 ? ['the good client got no answer'] : []),
    ...(goodFailed > 0 ? [`${goodFailed} calls of the good client failed`] : []),
  ]
}
