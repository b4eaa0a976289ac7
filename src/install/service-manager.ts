import { execFile } from 'node:child_process'
import { ResolveError } from '../errors.ts'
import type { Root } from './root.ts'

/** A service that waits for the end of its pulls takes 90 s to stop, and 30 s to be ready. */
const LIMIT_MS = 180_000

/** systemd of a node. */
export interface ServiceManager {
  /** What is run, for people: `chroot /host systemctl`. */
  readonly name: string
  /**
   * @returns what it prints
   * @throws ResolveError UNAVAILABLE with what it says
   */
  run(...args: readonly string[]): Promise<string>
}

/**
 * @param isChroot of a root that is not this machine's: run it there, by chroot
 * @returns undefined where no systemd runs, or none may be called
 */
export async function findServiceManager(
  root: Root,
  isChroot: boolean,
): Promise<ServiceManager | undefined> {
  if (!root.isThisMachine && !isChroot) return undefined
  const [program, ...first] = root.isThisMachine
    ? (['systemctl'] as const)
    : (['chroot', root.base, 'systemctl'] as const)
  const manager: ServiceManager = {
    name: [program, ...first].join(' '),
    run: async (...args) => {
      const { code, output } = await systemctl(program, [...first, ...args])
      if (code === 0) return output
      const what = `${[program, ...first, ...args].join(' ')} failed (${code})`
      throw new ResolveError('UNAVAILABLE', `${what}: ${output.trim()}`)
    },
  }
  // `degraded` is an exit code other than 0, and a systemd that runs.
  const { output } = await systemctl(program, [...first, 'is-system-running'])
  const isRunning = /^(?:initializing|starting|running|degraded|maintenance|stopping)\s*$/m
  return isRunning.test(output) ? manager : undefined
}

/** The state of a unit, in systemd's words; '' where it has none. */
export async function activeState(manager: ServiceManager, unit: string): Promise<string> {
  const text = await manager.run('show', '--property=ActiveState', '--value', unit)
  return text.trim()
}

/**
 * When the main process of a unit was started; undefined: it does not run. Of systemd's two times the one of
 * the monotonic clock, in microseconds: the other is printed to the second, and a restart in the second of a
 * change would read as one before it.
 */
export async function startedAt(manager: ServiceManager, unit: string): Promise<Date | undefined> {
  if ((await activeState(manager, unit)) !== 'active') return undefined
  const property = '--property=ExecMainStartTimestampMonotonic'
  const microseconds = Number(await manager.run('show', property, '--value', unit))
  if (!(microseconds > 0)) return undefined
  // First: where the process is held up between the two clocks, it is told to be older than it is, and is restarted once more.
  const now = Date.now()
  // Node's high-resolution time is the same clock.
  const ageMs = Number(process.hrtime.bigint()) / 1e6 - microseconds / 1e3
  return new Date(now - ageMs)
}

function systemctl(
  program: string,
  args: readonly string[],
): Promise<{ readonly code: number | string; readonly output: string }> {
  // In a chroot systemctl does nothing otherwise, and says so only on standard error.
  const env = {
    ...process.env,
    SYSTEMD_IGNORE_CHROOT: '1',
    SYSTEMD_COLORS: '0',
    LC_ALL: 'C',
    TZ: 'UTC',
  }
  return new Promise((resolve) => {
    execFile(program, args, { env, timeout: LIMIT_MS }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? 'killed'), output: stdout + stderr })
    })
  })
}
