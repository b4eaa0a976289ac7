import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Cleanup } from '../test/support/stack.ts'
import type { Part } from './parts.ts'
import type { Findings } from './report.ts'

const PART = fileURLToPath(new URL('./part.ts', import.meta.url))
/** To end what it started, containerd with its mounts included. */
const FAREWELL_MS = 15_000
const SHOWN_CHARACTERS = 4_000

/**
 * Runs one part in a group of processes of its own, which ends with it, whatever it left behind.
 *
 * @param folder for its files, and all that it makes in passing; who made it removes it

 * @throws Error with what it printed, when it fails or its time is up
 */
export async function runPart(
  cleanup: Cleanup,
  { name, limitSeconds }: Part,
  folder: string,
  quick: boolean,
): Promise<Findings> {
  const output = join(folder, 'findings.json')
  const args = ['--import', 'tsx', PART, name, output, ...(quick ? ['--quick'] : [])]
  const child = spawn(process.execPath, args, {
    detached: true,
    env: { ...process.env, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      printed = (printed + text).slice(-SHOWN_CHARACTERS)
    })
  }
  const ended = once(child, 'exit')
  const end = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), FAREWELL_MS)
      await ended
      clearTimeout(timer)
    }
    endGroup(child.pid)
  }
  cleanup.after(end)
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    void end()
  }, limitSeconds * 1000)
  const [code] = await ended
  clearTimeout(timer)
  if (isLate)
    throw new Error(`${name} took longer than ${limitSeconds} s and was ended\n${printed}`)
  if (code !== 0) throw new Error(`${name} ended with ${code}:\n${printed}`)
  return JSON.parse(readFileSync(output, 'utf8')) as Findings
}

function endGroup(leader: number | undefined): void {
  if (leader === undefined) return
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // The group is empty.
  }
}
