import type { CliContext } from './context.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { OptionName, Values } from './options.ts'

/** What the help of a command, or of a group of commands, says. */
export interface HelpText {
  /** What follows the name of the program; default: the command and `[options]`. */
  readonly usage?: string
  readonly about: string
  /** Of codes that mean the same for many commands, `same` is the text. */
  readonly exitCodes: Partial<Readonly<Record<ExitCode, string>>>
  readonly examples: readonly string[]
}

/** A command throws UsageError for a mistake on the command line, and rejects with ResolveError or ConfigError. */
export interface Command extends HelpText {
  /** The options it knows, beside `--help`, in the order in which its help shows them. */
  readonly options: readonly OptionName[]
  /** What an option means for this command, where that is not what it means for every one. */
  readonly meanings?: Partial<Readonly<Record<OptionName, string>>>
  /** How its value is written for this command, where that differs; '': it takes none. */
  readonly values?: Partial<Readonly<Record<OptionName, string>>>
  /** How many words may follow it; default: none. */
  readonly words?: { readonly min: number; readonly max: number; readonly problem: string }
  readonly run: Run
}

/** @returns the exit code */
export type Run = (words: readonly string[], values: Values, context: CliContext) => Promise<number>

/** As many words as there are. */
export const MANY = Number.POSITIVE_INFINITY
export const CONFIGURED = ['config', 'file', 'portoshim'] as const
/** Of commands that ask registries, or a service instead of them. */
export const ASKING = [...CONFIGURED, 'server', 'token-file'] as const

export const WRONG_USE = { [EXIT.usage]: 'wrong use, or a configuration that cannot be used' }
export const MALFORMED = {
  [EXIT.malformed]: 'what was asked for is no reference, platform or name',
}
const NOT_FOUND = {
  [EXIT.notFound]: 'not found: each registry that may have it was asked, and has none',
}
export const REFUSED = {
  [EXIT.refused]: 'refused: credentials are missing or do not suffice, or it may not be asked',
}
export const UNREACHABLE = {
  [EXIT.unreachable]:
    'no answer: a registry, the service or the runtime is down, too slow or wants a pause',
}
/** Of commands that ask a registry for something which it may have. */
export const OF_REGISTRIES = {
  ...WRONG_USE,
  ...MALFORMED,
  ...NOT_FOUND,
  ...REFUSED,
  ...UNREACHABLE,
}
/** Of commands that ask the service or the runtime. */
export const OF_NODE = { ...WRONG_USE, ...REFUSED, ...UNREACHABLE }
