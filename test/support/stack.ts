import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** The part of node:test's context that the stack needs. */
export interface Cleanup {
  after(end: () => unknown): void
}

export interface Skippable extends Cleanup {
  skip(reason: string): void
}

/** What every end-to-end test of the runtime needs. */
export const RUNTIME_PROGRAMS = ['containerd', 'runc', 'docker-registry'] as const

/**
 * Skips the test, saying why, when a program is missing or this process is not root. With
 * REQUIRE_E2E=1 that is a failure.
 *
 * @returns whether to go on: `if (!requireStack(t, RUNTIME_PROGRAMS)) return`
 */
export function requireStack(t: Skippable, programs: readonly string[]): boolean {
  const missing = programs.filter((program) => findProgram(program) === undefined)
  const reasons = missing.length === 0 ? [] : [`not installed: ${missing.join(', ')}`]
  if (process.getuid?.() !== 0) reasons.push('needs root')
  if (reasons.length === 0) return true
  skipLacking(t, reasons.join('; '))
  return false
}

/** Skips a test for what this machine lacks; throws that instead where everything has to run. */
export function skipLacking(t: Skippable, reason: string): void {
  if (process.env['REQUIRE_E2E'] === '1') throw new Error(reason)
  t.skip(reason)
}

/** A folder whose path leaves room for the name of a unix socket, removed after the test. */
export function temporaryFolder(t: Cleanup): string {
  const folder = makeFolder()
  t.after(() => removeFolder(folder))
  return folder
}

const made = new Set<string>()

/** A service that ends after its folder is gone writes what it knows into a new one. */
process.on('exit', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true })
})

/** Like temporaryFolder, for what is removed after something else has ended. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(base(), 'ir-'))
  made.add(folder)
  return folder
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
}

// containerd waits for the disk at every write of its database; in memory a pull takes a fifth of
// the time. Not where memory is set to a few megabytes, as in a container.
function base(): string {
  const memory = '/dev/shm'
  try {
    const { bavail, bsize } = statfsSync(memory)
    accessSync(memory, constants.W_OK)
    return process.env['TMPDIR'] === undefined && bavail * bsize >= 1024 ** 3 ? memory : tmpdir()
  } catch {
    return tmpdir()
  }
}

/** Its path; undefined: it is not installed. */
export function findProgram(program: string): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
