import { EVENT_ID, type Event, parseEvents, SCALAR_STYLE, YAMLException } from 'js-yaml'

/** What keeps a text from being read as YAML. */
export class YamlError extends Error {
  /** Offset in the text. */
  readonly at: number

  constructor(message: string, options: ErrorOptions & { readonly at: number }) {
    super(message, options)
    this.at = options.at
  }
}

/** From one `---` to the next: at the beginning of a line it ends everything, quotes too (YAML 1.2.2, 9.1.2). */
export function* partsOf(text: string): Generator<readonly [number, number]> {
  let start = 0
  // A directive belongs to the document behind the next `---`.
  if (!/(?:^|[\r\n])\uFEFF?%/.test(text)) {
    for (const { index } of text.matchAll(/[\r\n]---(?=[ \t\r\n]|$)/g)) {
      yield [start, index + 1]
      start = index + 1
    }
  }
  yield [start, text.length]
}

/** What a part of a text holds. */
export interface Part {
  /** As it was parsed. */
  readonly source: string
  readonly events: readonly Event[]
  /** Where an offset in `source` is in the whole text. */
  readonly placeOf: (offset: number) => number
}

/** @param start where the part begins. @throws YamlError */
export function parsePart(part: string, start: number, maxDepth: number): Part {
  try {
    const placeOf = (offset: number): number => start + offset
    return { source: part, events: parseEvents(part, { maxDepth }), placeOf }
  } catch (thrown) {
    if (!(thrown instanceof YAMLException)) throw thrown
    const { mark, reason } = thrown
    const again = repaired(part, start, maxDepth)
    if (again !== undefined) return again
    const opening = firstBracket(part)
    const isOpen = reason.endsWith('the stream within a flow collection') && opening >= 0
    const at = start + (isOpen ? opening : (mark?.position ?? 0))
    const isTooDeep = reason.startsWith('nesting exceeded')
    const why = isTooDeep ? `it is nested more than ${maxDepth} levels deep` : reason
    const message = isOpen ? 'the bracket that is opened here is not closed' : why
    throw new YamlError(message, { at, cause: thrown })
  }
}

/** Of a document that is a list or map in brackets as a whole; -1: it is not. */
function firstBracket(part: string): number {
  const before = /---(?=\s)|\s+|#.*/y
  let at = 0
  while (before.test(part)) at = before.lastIndex
  return /[[{]/.test(part[at] ?? '') ? at : -1
}

/** A tab that separates; at the beginning of a line it would indent, which no parser takes. */
const SEPARATED = /[:,[{][ \t]*\t/g

/**
 * What other parsers take and this one does not. Lists end at `]` in the column of their field in many files, where
 * YAML wants it further to the right: each gets a space more. A tab before an item of `[…]` or `{…}`, or before
 * such a list in a field, is right, and becomes a space.
 */
function repaired(part: string, start: number, maxDepth: number): Part | undefined {
  const places: number[] = []
  const source = part
    .replace(SEPARATED, (separated) => separated.replaceAll('\t', ' '))
    .replace(/[\]}](?<=[\r\n][ \t]*.)/g, (sign, offset: number) => {
      places.push(offset + places.length)
      return ` ${sign}`
    })
  if (source === part) return undefined
  let before = 0
  // Offsets come almost in order, so that the number of places before the next one is near.
  const placeOf = (offset: number): number => {
    while ((places[before] ?? offset) < offset) before += 1
    while ((places[before - 1] ?? -1) >= offset) before -= 1
    return start + offset - before
  }
  try {
    const events = parseEvents(source, { maxDepth })
    return events.some((event) => hasClosing(event, source))
      ? undefined
      : { source, events, placeOf }
  } catch {
    return undefined
  }
}

/** A `]` or `}` that closes nothing, which a space more has made a part of the text in front of it. */
function hasClosing(event: Event, source: string): boolean {
  if (event.type !== EVENT_ID.SCALAR || event.style !== SCALAR_STYLE.PLAIN) return false
  return /[\r\n][ \t]*[\]}]/.test(source.slice(event.valueStart, event.valueEnd))
}
