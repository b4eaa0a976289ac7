import { parseArgs } from 'node:util'
import { nearestName } from '../config/suggest.ts'
import type { CliContext, FileOption } from './context.ts'
import { visible } from './output.ts'

/** Every option of every command. Which command takes it says COMMANDS, how its help shows it FLAGS in help-text.ts. */
const OPTIONS = {
  config: { type: 'string', short: 'f' },
  // image-cri-shim's name for it.
  file: { type: 'string' },
  portoshim: { type: 'string' },
  json: { type: 'boolean' },
  platform: { type: 'string' },
  explain: { type: 'boolean' },
  all: { type: 'boolean' },
  node: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  format: { type: 'string' },
  check: { type: 'boolean' },
  fleet: { type: 'boolean' },
  limit: { type: 'string' },
  'dry-run': { type: 'boolean' },
  domain: { type: 'string' },
  root: { type: 'string' },
  write: { type: 'string' },
  server: { type: 'string' },
  'token-file': { type: 'string' },
  force: { type: 'boolean' },
  direct: { type: 'boolean' },
  diff: { type: 'boolean' },
  lock: { type: 'string' },
  offline: { type: 'boolean' },
  update: { type: 'boolean' },
  'log-format': { type: 'string' },
  kubelet: { type: 'string' },
  'restart-kubelet': { type: 'boolean' },
  'runtime-endpoint': { type: 'string' },
  chroot: { type: 'boolean' },
  wait: { type: 'string' },
  watch: { type: 'string' },
  secrets: { type: 'string' },
  'fail-on': { type: 'string' },
  plan: { type: 'string' },
  resume: { type: 'string' },
  path: { type: 'string', multiple: true },
  arg: { type: 'string', multiple: true },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

/** Its files are typed where they are: `--write` takes no folder. */
const OPTIONS_OF_PIN = { ...OPTIONS, write: { type: 'boolean' } } as const

export type OptionName = keyof typeof OPTIONS
export type Values = ReturnType<typeof readArguments>['values']

/** A mistake on the command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError for an option that no command has, or one without its value */
export function readArguments(args: readonly string[]) {
  const options = readLoosely(args).words[0] === 'pin' ? OPTIONS_OF_PIN : OPTIONS
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException
    const unknown = code === UNKNOWN_OPTION ? /'(-[^']*)'/.exec(message)?.[1] : undefined
    const problem = unknown === undefined ? shortened(message) : noOption(unknown)
    throw new UsageError(problem, { cause: thrown })
  }
}

/** What can be read of arguments of which some are wrong; what follows an unknown option is a word. */
export function readLoosely(args: readonly string[]): {
  readonly words: readonly string[]
  readonly json: boolean
} {
  const { positionals: words, values } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
  })
  return { words, json: values['json'] === true }
}

const UNKNOWN_OPTION = 'ERR_PARSE_ARGS_UNKNOWN_OPTION'

function noOption(option: string): string {
  const known = Object.keys(OPTIONS).map((name) => `--${name}`)
  return `there is no option ${visible(option)}${didYouMean(option, known)}`
}

/** `Option '--limit <value>' argument missing`: the library's words, but for its advice. */
function shortened(message: string): string {
  const [first = ''] = message.split(/\.?\n|\. /)
  const missing = /^Option '(.*) <value>' argument missing$/.exec(first)?.[1]
  return visible(missing === undefined ? first : `${missing} needs a value after it`)
}

export function filesOf(values: Values): FileOption {
  const { portoshim } = values
  return { file: fileOf(values), ...(portoshim === undefined ? {} : { portoshim }) }
}

/** As filesOf, and the service that is to be asked instead. @throws UsageError */
export function placeOf(values: Values): FileOption {
  const { server, 'token-file': tokenFile } = values
  if (tokenFile !== undefined && server === undefined) {
    throw new UsageError('--token-file is for --server URL')
  }
  return {
    ...filesOf(values),
    ...(server === undefined ? {} : { server }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  }
}

export function fileOf(values: Values): string | undefined {
  return values.config ?? values.file
}

/** @throws UsageError where two ways to print are asked for */
export function onlyOne(values: Values, names: readonly OptionName[]): void {
  const [first, second] = names.filter((name) => values[name] !== undefined)
  if (second !== undefined) throw new UsageError(`--${first} and --${second} exclude each other`)
}

/** More than a terminal shows, and more than most registries hold. */
const DEFAULT_LIMIT = 10_000
const MAX_LIMIT = 1_000_000

/** @throws UsageError */
export function limitOf({ limit }: Values): number {
  if (limit === undefined) return DEFAULT_LIMIT
  const count = /^\d{1,7}$/.test(limit) ? Number(limit) : 0
  if (count >= 1 && count <= MAX_LIMIT) return count
  throw new UsageError(`--limit is a number from 1 to ${MAX_LIMIT}`)
}

/** @throws UsageError */
export function logFormatOf(values: Values): { readonly logFormat?: 'text' | 'json' } {
  const format = values['log-format']
  if (format === undefined) return {}
  if (format === 'text' || format === 'json') return { logFormat: format }
  throw new UsageError('--log-format is text or json')
}

const MAX_WAIT_SECONDS = 3_600

/** @returns milliseconds. @throws UsageError */
export function waitOf({ wait = '60' }: Values): number {
  return secondsOf('wait', wait)
}

/** @returns milliseconds; undefined: nothing is watched. @throws UsageError */
export function watchOf({ watch }: Values): number | undefined {
  return watch === undefined ? undefined : secondsOf('watch', watch)
}

function secondsOf(option: OptionName, text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (seconds >= 1 && seconds <= MAX_WAIT_SECONDS) return seconds * 1_000
  throw new UsageError(`--${option} is a number of seconds from 1 to ${MAX_WAIT_SECONDS}`)
}

/** @throws UsageError */
export function kubeletOf({ kubelet = 'images' }: Values): 'images' | 'all' {
  if (kubelet === 'images' || kubelet === 'all') return kubelet
  throw new UsageError('--kubelet is images or all')
}

/**
 * `; did you mean registry status?`, or nothing where no name is near.
 *
 * @param known names of one word or of two; the second word alone means the two
 */
export function didYouMean(typed: string, known: readonly string[]): string {
  const near = lastWordIs(typed, known) ?? nearest(typed, known)
  return near === undefined ? '' : `; did you mean ${near}?`
}

function nearest(typed: string, known: readonly string[]): string | undefined {
  const [group, word] = typed.split(' ', 2)
  if (word === undefined) return nearestName(typed, known)
  const prefix = `${group} `
  const siblings = known.filter((name) => name.startsWith(prefix))
  // What two names have in common makes any two near.
  const near = nearestName(
    word,
    siblings.map((name) => name.slice(prefix.length)),
  )
  return near === undefined ? undefined : `${prefix}${near}`
}

function lastWordIs(typed: string, known: readonly string[]): string | undefined {
  return known.find((name) => name.endsWith(` ${typed}`))
}

export interface Command {
  /** The options it knows, beside `--help`, in the order in which its help shows them. */
  readonly options: readonly OptionName[]
  /** How many words may follow it. */
  readonly words: { readonly min: number; readonly max: number; readonly problem: string }
  /** @returns the exit code */
  run(words: readonly string[], values: Values, context: CliContext): Promise<number>
}

/** As many words as there are. */
export const MANY = Number.POSITIVE_INFINITY
export const CONFIGURED = ['config', 'file', 'portoshim'] as const
/** Of commands that ask registries, or a service instead of them. */
export const ASKING = [...CONFIGURED, 'server', 'token-file'] as const
