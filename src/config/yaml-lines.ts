import { excerpt } from './yaml-excerpt.ts'

const LINE_BREAK = /\r\n|\r|\n/

export function linesOf(source: string): readonly string[] {
  return source.split(LINE_BREAK)
}

/** Where something stands, and the line itself with a caret below it. */
export interface YamlPlace {
  /** From 1, like the column. */
  readonly line: number
  readonly column: number
  readonly excerpt: readonly string[]
}

/** The lines of a text, found by offset. */
export class YamlLines {
  readonly #source: string
  readonly #starts: readonly number[]
  #texts: readonly string[] | undefined

  constructor(source: string) {
    this.#source = source
    this.#starts = startsOf(source)
  }

  /** From 1. */
  lineAt(offset: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#starts[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  shown(offset: number): YamlPlace {
    const line = this.lineAt(offset)
    const column = offset - (this.#starts[line - 1] ?? 0) + 1
    this.#texts ??= linesOf(this.#source)
    return { line, column, excerpt: excerpt(this.#texts, line, column) }
  }
}

function startsOf(source: string): readonly number[] {
  const starts = [0]
  for (const lineBreak of source.matchAll(new RegExp(LINE_BREAK, 'g'))) {
    starts.push(lineBreak.index + lineBreak[0].length)
  }
  return starts
}
