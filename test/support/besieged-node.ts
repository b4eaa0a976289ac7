import assert from 'node:assert/strict'
import { bundled } from './bundled.ts'
import { BYSTANDER, type BystanderReport } from './bystander-process.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { GrpcClient } from './grpc-client.ts'
import { type ProcessState, processState, within } from './process-state.ts'
import { startProgram } from './program.ts'
import { type RecordingRuntime, startRecordingRuntime } from './recording-runtime.ts'
import { type Cleanup, temporaryFolder } from './stack.ts'

/** What nobody else may have to wait for an answer, whatever one client does, where the processors are free. */
const LONGEST_MS = 5_000
/** By then there is one, also on a busy machine. */
const SERVED_MS = 60_000
/** What hostile clients may make the service hold at once, beyond what it is at rest. */
const MOST_HELD_MIB = 256
/** What stays of that: memory that was not given back to the system. */
const MOST_KEPT_MIB = 100
/** A session in which nothing is said any more is given up after some 80 s; a busy machine comes to it later. */
const AFTERMATH_MS = 240_000

export interface BesiegedNode {
  readonly daemon: Daemon
  readonly runtime: RecordingRuntime
  readonly before: ProcessState
  /**
   * Fails unless the service is the process that it was, has held little at a time, and somebody
   * else was served all the while.
   */
  unharmed(after?: string): Promise<void>
  /** Fails unless all that its clients made it hold is let go within four minutes. */
  atRest(): Promise<void>
}

/** The running service, a recording runtime below it, and somebody who goes on calling it. */
export async function startBesiegedNode(
  t: Cleanup,
  { table = true }: { readonly table?: boolean } = {},
): Promise<BesiegedNode> {
  const path = `${temporaryFolder(t)}/runtime.sock`
  const runtime = await startRecordingRuntime(t, path, { table })
  const daemon = await startDaemon(t, { cri: path })
  const { pid } = daemon.program()
  const bystander = startProgram(process.execPath, [
    await bundled(BYSTANDER),
    daemon.socketPath,
    String(pid),
  ])
  t.after(() => bystander.kill())
  await bystander.line(/"calls":20,/)
  const before = processState(pid)
  let seen = lastReport(bystander.output()).calls

  async function unharmed(after = ''): Promise<void> {
    await within(SERVED_MS, () => lastReport(bystander.output()).calls > seen)
    assert.ok(daemon.program().running(), `${after}\n${daemon.program().output()}`)
    const { peakMiB } = processState(pid)
    const heldMiB = Math.round(peakMiB - before.residentMiB)
    assert.ok(heldMiB < MOST_HELD_MIB, `it held ${heldMiB} MiB more at a time ${after}`)
    const { calls, wrong, longestMs } = lastReport(bystander.output())
    assert.ok(calls > seen, `nobody else is served any more ${after}`)
    seen = calls
    assert.equal(wrong, 0)
    assert.ok(longestMs < LONGEST_MS, `somebody else waited ${Math.round(longestMs)} ms ${after}`)
    const client = new GrpcClient(daemon.socketPath)
    assert.equal((await client.call('/runtime.v1.RuntimeService/Version')).code, 0)
    await client.close()
    assert.deepEqual(
      daemon
        .program()
        .output()
        .split('\n')
        .filter((line) => /unexpected error/.test(line)),
      [],
    )
  }

  async function atRest(): Promise<void> {
    let now = before
    await within(AFTERMATH_MS, () => {
      now = processState(pid)
      const keptMiB = now.residentMiB - before.residentMiB
      return now.descriptors <= before.descriptors && keptMiB < MOST_KEPT_MIB
    })
    assert.ok(now.descriptors <= before.descriptors, `${now.descriptors} descriptors are open`)
    assert.ok(
      now.residentMiB - before.residentMiB < MOST_KEPT_MIB,
      `${now.residentMiB} MiB are resident`,
    )
  }

  return { daemon, runtime, before, unharmed, atRest }
}

function lastReport(output: string): BystanderReport {
  const lines = output.slice(0, output.lastIndexOf('\n')).split('\n')
  return JSON.parse(lines.at(-1) ?? '')
}
