import { messageOf, ResolveError } from '../errors.ts'

/** Gathers what is wrong or odd in one file, and knows on which line each field stands. */
export class Diagnostics {
  readonly problems: ConfigProblem[] = []
  readonly warnings: string[] = []
  /** What is as it should be, and may not be what was meant. */
  readonly notes: string[] = []
  readonly #lines = new Map<string, number>()

  /** The first word counts: a field stands where its name is, and its value may start below. */
  place(path: string, line: number): void {
    if (!this.#lines.has(path)) this.#lines.set(path, line)
  }

  line(path: string): number {
    return this.#lines.get(path) ?? 0
  }

  /** @param place where to point to, when the field itself is missing */
  problem(path: string, message: string, place: string = path): void {
    this.problems.push({ line: this.line(place), path, message })
  }

  warning(path: string, message: string): void {
    this.warnings.push(this.#placed(path, message))
  }

  note(path: string, message: string): void {
    this.notes.push(this.#placed(path, message))
  }

  #placed(path: string, message: string): string {
    const line = this.line(path)
    return line === 0 ? `${path}: ${message}` : `${path} (line ${line}): ${message}`
  }

  /** Whether further problems will only be counted, so that effort on their wording is lost. */
  get isFull(): boolean {
    return this.problems.length >= MAX_PROBLEMS
  }

  /** What `parse` makes of a written text; undefined when there is none or it is refused, noted. */
  parse<T>(path: string, text: string | undefined, parse: (text: string) => T): T | undefined {
    if (text === undefined) return undefined
    try {
      return parse(text)
    } catch (thrown) {
      this.problem(path, messageOf(thrown))
      return undefined
    }
  }

  /** What `parse` makes of each item, every value once; items that it refuses are noted. */
  parseList<T>(
    path: string,
    items: readonly (string | undefined)[] | undefined,
    parse: (text: string) => T,
  ): readonly T[] {
    const parsed = (items ?? []).flatMap(
      (item, index) => this.parse(joinPath(path, index), item, parse) ?? [],
    )
    return [...new Set(parsed)]
  }
}

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

const MAX_KEY_LENGTH = 64

/** `registries` and 0 make `registries[0]`; `cache` and `tagTTL` make `cache.tagTTL`. */
export function joinPath(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`
  // A key can be any text, a page of it or a line break included; a message stays one line.
  const name = /^[\w.-]{1,64}$/.test(key) ? key : JSON.stringify(key.slice(0, MAX_KEY_LENGTH))
  return path === '' ? name : `${path}.${name}`
}

/** What one text of a configuration has against it. */
export function refusal(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}
