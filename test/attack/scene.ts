import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundled } from '../support/bundled.ts'
import { startDaemon } from '../support/daemon.ts'
import { openHeap, type ProgramHeap } from '../support/heap.ts'
import { processState, within } from '../support/process-state.ts'
import { type Program, startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/stack.ts'
import {
  type Attack,
  type AttackOutcome,
  type AttackScene,
  type GoodClient,
  MOST_KEPT_MIB,
  MOST_LIVE_MIB,
  type Siege,
} from './attack.ts'
import { GOOD_CLIENT, type GoodCall } from './good-client.ts'

/** Calls of the good client before and after an attack that say what it is without one. */
const QUIET_CALLS = 100
/** In short form no times are looked at: these only show that it is served. */
const FEW_CALLS = 10
const QUIET_LIMIT_MS = 30_000
/** What clients that are gone have left is let go of by then, also on a busy machine. */
const AFTERMATH_MS = 60_000
const COLLECTION_PAUSE_MS = 500

/** Runs one attack and ends all that it started, whatever comes of it. */
export async function runAttack(attack: Attack, isShort: boolean): Promise<AttackOutcome> {
  const ends: (() => unknown)[] = []
  const after = (end: () => unknown): void => {
    ends.unshift(end)
  }
  const scene: AttackScene = {
    isShort,
    folder: temporaryFolder({ after }),
    after,
    start: (options = {}) => startDaemon({ after }, options),
    measure: (siege) => measure(scene, siege),
  }
  try {
    return await attack.run(scene)
  } finally {
    for (const end of ends) await end()
  }
}

async function measure(scene: AttackScene, siege: Siege): Promise<AttackOutcome> {
  const { pid, running } = siege.daemon.program()
  const heap = await openHeap(scene, siege.daemon.program())
  const { good } = siege
  const behind = good.kind === 'cri' ? [good.runtimePid] : []
  const client = await startClient(scene, good, [pid, ...behind])
  const beside =
    good.kind === 'cri'
      ? await startClient(scene, { ...good, socketPath: good.runtimePath }, behind)
      : undefined
  const quiet = scene.isShort ? FEW_CALLS : QUIET_CALLS
  const quietBefore = await quietCalls(client, quiet)
  const before = await collected(pid, heap)
  forgetPeak(pid)
  const startedAt = now()
  await siege.attack()
  const endedAt = now()
  const during = await callsOf(client, startedAt, endedAt)
  const atRuntime = beside && (await callsOf(beside, startedAt, endedAt))
  if (!running()) return dead(before, during, siege.daemon.program())
  const { peakMiB } = processState(pid)
  let after = before
  await within(AFTERMATH_MS, async () => {
    after = await collected(pid, heap)
    if (isBack(before, after)) return true
    await sleep(COLLECTION_PAUSE_MS)
    return false
  })
  const quietAfter = await quietCalls(client, quiet)
  return {
    beforeRssMiB: before.rssMiB,
    peakRssMiB: peakMiB,
    afterRssMiB: after.rssMiB,
    beforeLiveMiB: before.liveMiB,
    afterLiveMiB: after.liveMiB,
    quietP99Ms: Math.max(p99(quietBefore), p99(quietAfter)),
    goodP99Ms: p99(during),
    ownP99Ms: p99(during, ownMs),
    runtimeP99Ms: atRuntime === undefined ? 0 : p99(atRuntime, ownMs),
    goodCalls: during.length,
    goodFailed: during.filter(({ wrong }) => wrong !== undefined).length,
    alive: running(),
    note: [siege.note?.(), ...wrongsOf(during)].filter(Boolean).join('; '),
  }
}

/** @param pids the processes on the way of its calls */
async function startClient(
  scene: AttackScene,
  good: GoodClient,
  pids: readonly number[],
): Promise<Program> {
  const args = [await bundled(GOOD_CLIENT), JSON.stringify(good), ...pids.map(String)]
  const client = startProgram(process.execPath, args)
  scene.after(() => client.kill())
  await client.line(/"ms"/)
  return client
}

interface Memory {
  readonly rssMiB: number
  readonly liveMiB: number
}

/** V8 collects what is left over when it needs the room, which on an idle service is never. */
async function collected(pid: number, heap: ProgramHeap): Promise<Memory> {
  const liveMiB = await heap.liveMiB()
  return { rssMiB: processState(pid).residentMiB, liveMiB }
}

function isBack(before: Memory, after: Memory): boolean {
  const isKept = after.rssMiB - before.rssMiB > MOST_KEPT_MIB
  return !isKept && after.liveMiB - before.liveMiB <= MOST_LIVE_MIB
}

function dead(before: Memory, during: readonly GoodCall[], daemon: Program): AttackOutcome {
  const [fatal] = /^.*(?:FATAL|Error).*$/m.exec(daemon.output()) ?? []
  return {
    beforeRssMiB: before.rssMiB,
    peakRssMiB: Number.NaN,
    afterRssMiB: Number.NaN,
    beforeLiveMiB: before.liveMiB,
    afterLiveMiB: Number.NaN,
    quietP99Ms: Number.NaN,
    goodP99Ms: p99(during),
    ownP99Ms: p99(during, ownMs),
    runtimeP99Ms: Number.NaN,
    goodCalls: during.length,
    goodFailed: during.filter(({ wrong }) => wrong !== undefined).length,
    alive: false,
    note: fatal ?? `exit code ${daemon.exitCode()}`,
  }
}

/** Those under way while it lasted: one may begin before a short attack, and end after it. */
async function callsOf(client: Program, from: number, to: number): Promise<readonly GoodCall[]> {
  await within(QUIET_LIMIT_MS, () => (reportsOf(client).at(-1)?.startedAt ?? 0) > to)
  return reportsOf(client).filter(({ ms, startedAt }) => startedAt + ms >= from && startedAt <= to)
}

async function quietCalls(client: Program, count: number): Promise<readonly GoodCall[]> {
  const seen = reportsOf(client).length
  await within(QUIET_LIMIT_MS, () => reportsOf(client).length >= seen + count)
  return reportsOf(client).slice(seen)
}

function reportsOf(client: Program): readonly GoodCall[] {
  const output = client.output()
  const lines = output.slice(0, output.lastIndexOf('\n')).split('\n')
  return lines.map((line) => JSON.parse(line))
}

function wrongsOf(calls: readonly GoodCall[]): readonly string[] {
  return [...new Set(calls.flatMap(({ wrong }) => wrong ?? []))].slice(0, 3)
}

function ownMs({ ms, queuedMs }: GoodCall): number {
  return ms - queuedMs
}

function p99(calls: readonly GoodCall[], of = ({ ms }: GoodCall): number => ms): number {
  const sorted = calls.map(of).sort((one, other) => one - other)
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN
}

/** VmHWM begins anew (proc(5), clear_refs). */
function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function now(): number {
  return performance.timeOrigin + performance.now()
}
