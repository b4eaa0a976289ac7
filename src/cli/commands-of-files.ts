import { type Command, MANY } from './command.ts'
import type { PinMode } from './commands/pin-report.ts'
import type { CliContext } from './context.ts'
import { fileOf, onlyOne, placeOf, UsageError, type Values } from './options.ts'

/** Of those that read the files in which images are named. */
export const COMMANDS_OF_FILES: Readonly<Record<string, Command>> = {
  check: {
    options: [
      'config',
      'file',
      'portoshim',
      'server',
      'token-file',
      'all',
      'platform',
      'fail-on',
      'plan',
      'resume',
      'path',
      'arg',
      'json',
    ],
    words: { min: 0, max: MANY, problem: '' },
    run: async (names, values, context) => {
      onlyOne(values, ['json', 'plan'])
      const { all = false, arg = [], json = false, path = [], resume } = values
      if (all && names.length > 0) throw new UsageError('--all is for this node: without files')
      const { parsePlatform } = await import('../reference/platform.ts')
      const { checkCommand } = await import('./commands/check.ts')
      const { failOnOf } = await import('./commands/check-report.ts')
      const { copyToolOf } = await import('./commands/copy-plan.ts')
      const { findOptions } = await import('./commands/find-options.ts')
      return checkCommand({
        names,
        all,
        failOn: failOnOf(values['fail-on']),
        plan: copyToolOf(values.plan),
        platforms: values.platform?.split(',').map((each) => parsePlatform(each.trim())) ?? [],
        resume,
        find: findOptions(path, arg),
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
      'config',
      'file',
      'portoshim',
      'server',
      'token-file',
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
    options: [
      'config',
      'file',
      'portoshim',
      'server',
      'token-file',
      'lock',
      'platform',
      'path',
      'arg',
      'json',
    ],
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
  const { findOptions } = await import('./commands/find-options.ts')
  const { pinCommand } = await import('./commands/pin.ts')
  return pinCommand({
    names,
    mode,
    lock,
    offline,
    update: values.update ?? false,
    platform,
    find: findOptions(path, arg),
    json,
    open: () => context.answers(placeOf(values)),
    now: () => new Date().toISOString(),
    context,
  })
}
