import { messageOf, ResolveError } from '../errors.ts'

/** Gathers what is wrong or odd in one file, and knows on which line each field stands. */
export class Diagnostics {
  readonly problems: ConfigProblem[]
  readonly warnings: string[] = []
  /** What is as it should be, and may not be what was meant. */
  readonly notes: string[] = []
  readonly #lines = new Map<string, number>()

  /** @param problems what is wrong with the YAML or TOML of it */
  constructor(problems: readonly ConfigProblem[] = []) {
    this.problems = [...problems]
  }

  /** @throws ConfigError with every problem, if there is one. @param file how messages call it */
  check(file: string): void {
    if (this.problems.length > 0) throw new ConfigError(file, this.problems)
  }

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
}

/** The names of the fields of T that hold a V. */
type FieldOf<T, V> = { [K in keyof T]-?: T[K] extends V | undefined ? K : never }[keyof T] & string

/** The fields of one map of a file; what is wrong with them goes to `diagnostics`. */
export class Section<T extends object> {
  readonly fields: T
  readonly #path: string
  readonly #diagnostics: Diagnostics

  /** @param path `registries[0]`; '' for the whole file */
  constructor(fields: T, path: string, diagnostics: Diagnostics) {
    this.fields = fields
    this.#path = path
    this.#diagnostics = diagnostics
  }

  /** A field that holds fields itself; where it is not written, it has none. */
  section<K extends keyof T & string>(name: K): Section<Partial<NonNullable<T[K]>>> {
    return new Section(this.fields[name] ?? {}, joinPath(this.#path, name), this.#diagnostics)
  }

  /** As Diagnostics.parse. */
  parse<R>(name: FieldOf<T, string>, parse: (text: string) => R): R | undefined {
    const text = this.fields[name] as string | undefined
    return this.#diagnostics.parse(joinPath(this.#path, name), text, parse)
  }

  /** Whether a field is written, be it wrongly. */
  has(name: keyof T): boolean {
    return Object.hasOwn(this.fields, name)
  }

  /** @param place the field to point to, when `name` itself is missing */
  problem(name: string, message: string, place: string = name): void {
    const [path, at] = [name, place].map((each) => joinPath(this.#path, each))
    this.#diagnostics.problem(path ?? '', message, at)
  }

  warning(name: string, message: string): void {
    this.#diagnostics.warning(joinPath(this.#path, name), message)
  }

  note(name: string, message: string): void {
    this.#diagnostics.note(joinPath(this.#path, name), message)
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

/**
 * The known name that the typed one most likely means, or undefined when none is near.
 * Case does not count; a swapped pair of letters counts as one mistake.
 */
export function nearestName(typed: string, known: readonly string[]): string | undefined {
  const allowed = Math.max(2, Math.floor(typed.length * 0.4))
  let nearest: string | undefined
  let least = allowed + 1
  for (const name of known) {
    // A name that much longer or shorter cannot be near, and need not be measured.
    if (Math.abs(name.length - typed.length) >= least) continue
    const mistakes = distance(typed.toLowerCase(), name.toLowerCase())
    if (mistakes < least) {
      least = mistakes
      nearest = name
    }
  }
  // Two mistakes turn any two-letter name into any other.
  return nearest !== undefined && least < typed.length ? nearest : undefined
}

/** Edits (insert, delete, replace, swap neighbours) between two texts: optimal string alignment. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current.push(
        Math.min(
          at(last, column) + 1,
          at(current, column - 1) + 1,
          at(last, column - 1) + (same ? 0 : 1),
          swapped ? at(beforeLast, column - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      )
    }
    beforeLast = last
    last = current
  }
  return at(last, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
