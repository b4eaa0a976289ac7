import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem, type } from 'node:os'
import type { Machine } from './report.ts'

/** Where the figures come from; not whose machine it is. */
export function thisMachine(): Machine {
  const all = cpus()
  return {
    cpu: all[0]?.model.trim() ?? 'unknown CPU',
    cpus: all.length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()}`,
    node: process.version,
    commit: commit(),
  }
}

/** Results are of the tree that is measured, so that those of an earlier run do not count as changes. */
function commit(): string {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    const isChanged = git('status', '--porcelain', '--', 'src', 'api', 'package-lock.json') !== ''
    return git('rev-parse', '--short', 'HEAD') + (isChanged ? '+' : '')
  } catch {
    return 'unknown'
  }
}
