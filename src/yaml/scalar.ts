import { getScalarValue, SCALAR_STYLE, type ScalarEvent } from 'js-yaml'
import type { YamlText } from './node.ts'
import type { SourceText } from './source-text.ts'

const QUOTES: ReadonlyMap<number, '"' | "'"> = new Map([
  [SCALAR_STYLE.DOUBLE_QUOTED, '"'],
  [SCALAR_STYLE.SINGLE_QUOTED, "'"],
])

/**
 * What the parser tells of a scalar.
 *
 * @param event with its offsets in `source`
 * @param isTextByTag its tag makes it text
 * @param before what stands before it: the end of the name of its field, or -1, and the line of nothing
 */
export function readScalar(
  source: SourceText,
  event: ScalarEvent,
  isTextByTag: boolean,
  before: { readonly end: number; readonly line: number },
): YamlText {
  const { text } = source
  const { anchorEnd, style, tagEnd, valueEnd, valueStart } = event
  const isPlain = style === SCALAR_STYLE.PLAIN
  const quoted = isTextByTag || !isPlain
  if (valueStart < 0) {
    const place = placeOfValue(text, before.end)
    const start = place < 0 ? -1 : Math.max(place, anchorEnd, tagEnd)
    return { kind: 'text', text: '', quoted, quote: '', start, end: start, line: before.line }
  }
  const quote = QUOTES.get(style) ?? ''
  const isBlock = !isPlain && quote === ''
  const start = isBlock ? startOfBlock(text, valueStart) : valueStart - quote.length
  const end = valueEnd + quote.length
  const line = source.lineAt(start)
  return { kind: 'text', text: getScalarValue(text, event), quoted, quote, start, end, line }
}

/** Offset of the sign of a block of lines. @param content where its lines begin */
function startOfBlock(text: string, content: number): number {
  const line = text.lastIndexOf('\n', content - 2) + 1
  return line + text.slice(line, content).search(/[|>][-+\d]*[ \t]*(?:#.*)?\s*$/)
}

/** Offset behind the colon of a name. @param end of the name. @returns -1: it has none */
function placeOfValue(text: string, end: number): number {
  const colon = /(?:\s|#.*[\r\n])*:/y
  colon.lastIndex = end
  return end >= 0 && colon.test(text) ? colon.lastIndex : -1
}
