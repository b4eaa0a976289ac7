import { ResolveError } from '../errors.ts'

/** One mistake in a configuration file. */
export interface ConfigProblem {
  /** From 1; 0 when it is about the whole file. */
  readonly line: number
  /** From 1, where it is known. */
  readonly column?: number
  /** `registries[0].address`; '' when it is about the whole file. */
  readonly path: string
  /** What is wrong and how to mend it; never a secret. */
  readonly message: string
  /** The line itself, without what may be secret, and one with a caret below the column. */
  readonly excerpt?: readonly string[]
}

/** Enough to mend a file by; a megabyte of nonsense must not become a megabyte of messages. */
export const MAX_PROBLEMS = 100

/** Everything that is wrong with one configuration file. Its code is CONFIG_INVALID. */
export class ConfigError extends ResolveError {
  readonly file: string
  /** At least one, in the order of lines; at most 100, the last one then counts the rest. */
  readonly problems: readonly ConfigProblem[]

  constructor(file: string, found: readonly ConfigProblem[], cause?: unknown) {
    const problems = firstProblems(found)
    super(
      'CONFIG_INVALID',
      `the configuration is not usable:\n${problems.map((one) => describeProblem(file, one)).join('\n')}`,
      { cause },
    )
    this.file = file
    this.problems = problems
  }
}

/** `FILE:LINE[:COLUMN]: path: message`, the form that editors and terminals make clickable. */
export function formatProblem(
  file: string,
  { line, column, path, message }: ConfigProblem,
): string {
  const place = [
    file,
    ...(line === 0 ? [] : [line, ...(column === undefined ? [] : [column])]),
  ].join(':')
  return path === '' ? `${place}: ${message}` : `${place}: ${path}: ${message}`
}

/** For people: with the line itself below it, where that is known. */
export function describeProblem(file: string, problem: ConfigProblem): string {
  const below = problem.excerpt?.map((line) => `    ${line}`) ?? []
  return [formatProblem(file, problem), ...below].join('\n')
}

function firstProblems(found: readonly ConfigProblem[]): readonly ConfigProblem[] {
  const sorted = [...found].sort((a, b) => a.line - b.line)
  if (sorted.length <= MAX_PROBLEMS) return sorted
  const rest = sorted.length - MAX_PROBLEMS + 1
  const message = `and ${rest} more problems after these`
  return [...sorted.slice(0, MAX_PROBLEMS - 1), { line: 0, path: '', message }]
}
