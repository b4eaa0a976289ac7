/** A pattern in pieces: each takes one character, `'*'` any number of them. */
export type Glob = readonly ('*' | ((character: string) => boolean))[]

const PIECE =
  /\*|\?|\\(?<escaped>.)|\[(?!\^\])(?<not>\^?)(?<ranges>(?:\\.|[^\\\]])+)\]|(?<literal>[^*?\\[])/y
const RANGE = /(?:\\(.)|([^\\-]))(?:-(?:\\(.)|([^\\-])))?/y

/**
 * Parses a pattern of Go's path.Match: `*`, `?`, `[a-z]`, `[^a-z]`, `\c`. Written for one label of a
 * host name, so nothing in it is a separator.
 *
 * @returns undefined when it is malformed; Go, too, then matches nothing
 */
export function parseGlob(pattern: string): Glob | undefined {
  const glob: Glob[number][] = []
  PIECE.lastIndex = 0
  while (PIECE.lastIndex < pattern.length) {
    const piece = PIECE.exec(pattern)
    if (piece === null) return undefined
    const { escaped, not, ranges, literal } = piece.groups ?? {}
    if (ranges !== undefined) {
      const contains = parseRanges(ranges)
      if (contains === undefined) return undefined
      glob.push(not === '^' ? (character) => !contains(character) : contains)
    } else if (piece[0] === '*' || piece[0] === '?') {
      glob.push(piece[0] === '*' ? '*' : () => true)
    } else {
      const expected = escaped ?? literal
      glob.push((character) => character === expected)
    }
  }
  return glob
}

/** In time proportional to both lengths, whatever the pattern is. */
export function matchesGlob(glob: Glob, text: string): boolean {
  let piece = 0
  let star = -1
  let resume = 0
  let index = 0
  while (index < text.length) {
    const expected = glob[piece]
    if (expected === '*') {
      star = piece++
      resume = index
    } else if (expected?.(text.charAt(index))) {
      piece++
      index++
    } else if (star >= 0) {
      piece = star + 1
      index = ++resume
    } else {
      return false
    }
  }
  return glob.slice(piece).every((rest) => rest === '*')
}

function parseRanges(text: string): ((character: string) => boolean) | undefined {
  const ranges: { readonly from: string; readonly to: string }[] = []
  RANGE.lastIndex = 0
  while (RANGE.lastIndex < text.length) {
    const range = RANGE.exec(text)
    if (range === null) return undefined
    const from = range[1] ?? range[2] ?? ''
    ranges.push({ from, to: range[3] ?? range[4] ?? from })
  }
  return (character) => ranges.some(({ from, to }) => from <= character && character <= to)
}
