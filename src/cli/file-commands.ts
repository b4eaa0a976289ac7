import type { FindOptions } from '../workloads/workload-file.ts'
import type { PinMode } from './commands/pin-report.ts'
import type { CliContext } from './context.ts'
import {
  ASKING,
  type Command,
  fileOf,
  MANY,
  onlyOne,
  placeOf,
  UsageError,
  type Values,
} from './options.ts'

/** What looks at the images that files name. */
export const FILE_COMMANDS: Readonly<Record<string, Command>> = {
  check: {
    options: [...ASKING, 'all', 'platform', 'fail-on', 'plan', 'resume', 'path', 'arg', 'json'],
    words: { min: 0, max: MANY, problem: '' },
    run: async (names, values, context) => {
      onlyOne(values, ['json', 'plan'])
      const { all = false, arg = [], json = false, path = [], resume } = values
      if (all && names.length > 0) throw new UsageError('--all is for this node: without files')
      const { parsePlatform } = await import('../reference/platform.ts')
      const { checkCommand } = await import('./commands/check.ts')
      const { failOnOf } = await import('./commands/check-report.ts')
      const { copyToolOf } = await import('./commands/copy-plan.ts')
      return checkCommand({
        names,
        all,
        failOn: failOnOf(values['fail-on']),
        plan: copyToolOf(values.plan),
        platforms: values.platform?.split(',').map((each) => parsePlatform(each.trim())) ?? [],
        resume,
        find: await findOptions(path, arg),
        json,
        open: () => context.availability(placeOf(values)),
        openNode: () => context.node({ file: fileOf(values) }),
        now: Date.now,
        context,
      })
    },
  },
  pin: {
    options: [
      ...ASKING,
      'write',
      'check',
      'diff',
      'update',
      'lock',
      'offline',
      'platform',
      'path',
      'arg',
      'json',
    ],
    words: { min: 1, max: MANY, problem: 'pin takes files or folders, or - for standard input' },
    run: async (names, values, context) => {
      onlyOne(values, ['write', 'check', 'diff'])
      const { check, diff, write } = values
      const mode = write ? 'write' : check ? 'check' : diff ? 'diff' : 'print'
      return pin(names, mode, values, context)
    },
  },
  drift: {
    options: [...ASKING, 'lock', 'platform', 'path', 'arg', 'json'],
    words: { min: 0, max: MANY, problem: '' },
    run: async (names, values, context) => {
      if (names.length === 0 && values.lock === undefined) {
        throw new UsageError('drift takes files or folders, - for standard input, or --lock FILE')
      }
      return pin(names, 'drift', values, context)
    },
  },
}

async function pin(
  names: readonly string[],
  mode: PinMode,
  values: Values,
  context: CliContext,
): Promise<number> {
  const { arg = [], json = false, lock, offline = false, path = [], platform } = values
  if (offline && lock === undefined) {
    throw new UsageError('--offline needs --lock FILE: what is in it is all that is known')
  }
  const { pinCommand } = await import('./commands/pin.ts')
  return pinCommand({
    names,
    mode,
    lock,
    offline,
    update: values.update ?? false,
    platform,
    find: await findOptions(path, arg),
    json,
    open: () => context.answers(placeOf(values)),
    now: () => new Date().toISOString(),
    context,
  })
}

/** What `--path` and `--arg` say of where images stand in files. @throws UsageError for a path without keys */
async function findOptions(
  paths: readonly string[],
  args: readonly string[],
): Promise<FindOptions> {
  const { parsePathPattern } = await import('../workloads/path-pattern.ts')
  return {
    paths: paths.map((path) => {
      const pattern = parsePathPattern(path)
      if (pattern !== undefined) return pattern
      throw new UsageError(`--path takes keys with dots between, as in spec.image; not ${path}`)
    }),
    args: args.map((name) => name.replace(/^-+/, '')),
  }
}
