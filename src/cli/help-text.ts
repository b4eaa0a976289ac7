import { EXIT, type ExitCode } from './exit-codes.ts'
import type { OptionName } from './options.ts'

/** What the help of a command says beside its options, which are those of the table of commands. */
export interface HelpText {
  /** What follows the name of the program; default: the command and `[options]`. */
  readonly usage?: string
  readonly about: string
  /** What an option means for this command, where that is not what it means for every one. */
  readonly options?: Partial<Readonly<Record<OptionName, string>>>
  /** How an option is written for this command, where that differs. */
  readonly flags?: Partial<Readonly<Record<OptionName, string>>>
  /** Of codes that mean the same for many commands, `same` is the text. */
  readonly exitCodes: Partial<Readonly<Record<ExitCode, string>>>
  readonly examples: readonly string[]
}

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
