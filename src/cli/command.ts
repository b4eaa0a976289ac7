import type { CliContext } from './context.ts'
import type { OptionName, Values } from './options.ts'

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

export function nothingAfter(name: string): Command['words'] {
  return { min: 0, max: 0, problem: `${name} takes no words after it` }
}
