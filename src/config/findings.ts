import { joinPath } from './path.ts'
import { type ConfigProblem, MAX_PROBLEMS } from './problem.ts'

/** Gathers what is wrong or odd in one file, and knows on which line each field stands. */
export class Findings {
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
      this.problem(path, thrown instanceof Error ? thrown.message : String(thrown))
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
