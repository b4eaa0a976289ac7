/** A text with its lines, which LF, CR LF or CR ends. A byte order mark at its beginning is in none of them. */
export class SourceText {
  readonly text: string
  /** The offset at which each line begins. */
  readonly #starts: number[]
  /** Index of the line that was asked for last: mostly the next one is near. */
  #last = 0

  constructor(text: string) {
    this.text = text
    this.#starts = [text.startsWith('\uFEFF') ? 1 : 0]
    const lineBreak = /\r\n?|\n/g
    while (lineBreak.test(text)) this.#starts.push(lineBreak.lastIndex)
  }

  /** From 1. */
  lineAt(offset: number): number {
    if (!this.#isIn(this.#last, offset)) {
      this.#last = this.#isIn(this.#last + 1, offset) ? this.#last + 1 : this.#search(offset)
    }
    return this.#last + 1
  }

  /** Both from 1. */
  at(offset: number): { readonly line: number; readonly column: number } {
    const line = this.lineAt(offset)
    return { line, column: offset - (this.#starts[line - 1] ?? 0) + 1 }
  }

  /** @param number from 1. @returns without its end; empty where there is no such line */
  line(number: number): string {
    const start = this.#starts[number - 1]
    if (start === undefined) return ''
    return this.text.slice(start, this.#starts[number]).replace(/[\r\n]+$/, '')
  }

  #isIn(index: number, offset: number): boolean {
    const [start = Number.POSITIVE_INFINITY, end = Number.POSITIVE_INFINITY] = [
      this.#starts[index],
      this.#starts[index + 1],
    ]
    return start <= offset && offset < end
  }

  #search(offset: number): number {
    let [low, high] = [0, this.#starts.length - 1]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}
