import { parsePathPattern } from '../../workloads/path-pattern.ts'
import type { FindOptions } from '../../workloads/workload-file.ts'
import { UsageError } from '../options.ts'

/** What `--path` and `--arg` say of where images stand in files. @throws UsageError for a path without keys */
export function findOptions(paths: readonly string[], args: readonly string[]): FindOptions {
  return {
    paths: paths.map((path) => {
      const pattern = parsePathPattern(path)
      if (pattern !== undefined) return pattern
      throw new UsageError(`--path takes keys with dots between, as in spec.image; not ${path}`)
    }),
    args: args.map((name) => name.replace(/^-+/, '')),
  }
}
