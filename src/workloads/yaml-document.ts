import {
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  parseEvents,
  type ScalarEvent,
  YAMLException,
} from 'js-yaml'
import {
  MAX_MERGED,
  type YamlList,
  YamlMap,
  YamlMistake,
  type YamlNode,
  YamlText,
} from './yaml-node.ts'

/** Levels of nesting. The parser calls itself for each, and V8's stack ends at some thousands. */
const MAX_DEPTH = 256
/** Of one text. Each has a price, be it empty. */
const MAX_DOCUMENTS = 50_000

/**
 * The roots of the documents of a text, one after the other: no more than one document is held.
 *
 * @throws YamlMistake
 */
export function* parseDocuments(text: string): Generator<YamlNode | undefined> {
  const left = { merged: MAX_MERGED, documents: MAX_DOCUMENTS }
  for (const [start, end] of partsOf(text)) {
    for (const root of rootsOf(text, eventsOf(text.slice(start, end), start), left)) {
      left.documents -= 1
      if (left.documents < 0) {
        throw new YamlMistake(`it has more than ${MAX_DOCUMENTS} documents`, { at: start })
      }
      yield root
    }
  }
}

/** From one `---` to the next: at the beginning of a line it ends everything, quotes too (YAML 1.2.2, 9.1.2). */
function* partsOf(text: string): Generator<readonly [number, number]> {
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
interface Parsed {
  /** As it was parsed. */
  readonly source: string
  readonly events: readonly Event[]
  /** Where an offset in `source` is in the whole text. */
  readonly placeOf: (offset: number) => number
}

/** @param start where the part begins. @throws YamlMistake */
function eventsOf(part: string, start: number): Parsed {
  try {
    const placeOf = (offset: number): number => start + offset
    return { source: part, events: parse(part), placeOf }
  } catch (thrown) {
    if (!(thrown instanceof YAMLException)) throw thrown
    const { mark, reason } = thrown
    const again = repaired(part, start)
    if (again !== undefined) return again
    const opening = firstBracket(part)
    const isOpen = reason.endsWith('the stream within a flow collection') && opening >= 0
    const at = start + (isOpen ? opening : (mark?.position ?? 0))
    const isTooDeep = reason.startsWith('nesting exceeded')
    const why = isTooDeep ? `it is nested more than ${MAX_DEPTH} levels deep` : reason
    const message = isOpen ? 'the bracket that is opened here is not closed' : why
    throw new YamlMistake(message, { at, cause: thrown })
  }
}

/** Of a document that is a list or mapping in brackets as a whole; -1: it is not. */
function firstBracket(part: string): number {
  const before = /---(?=\s)|\s+|#.*/y
  let at = 0
  while (before.test(part)) at = before.lastIndex
  return /[[{]/.test(part[at] ?? '') ? at : -1
}

const parse = (source: string): readonly Event[] => parseEvents(source, { maxDepth: MAX_DEPTH })

/** A tab that separates; at the beginning of a line it would indent, which no parser takes. */
const SEPARATED = /[:,[{][ \t]*\t/g

/**
 * What other parsers take and this one does not. Lists end at `]` in the column of their field in many files, where
 * YAML wants it further to the right: each gets a space more. A tab before an item of `[…]` or `{…}`, or before
 * such a list in a field, is right, and becomes a space.
 */
function repaired(part: string, start: number): Parsed | undefined {
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
    return { source, events: parse(source), placeOf }
  } catch {
    return undefined
  }
}

function* rootsOf(
  text: string,
  { events, placeOf, source }: Parsed,
  left: { merged: number },
): Generator<YamlNode | undefined> {
  /** The last node so far that has an anchor of that name (YAML 1.2.2, 7.1). */
  const anchored = new Map<string, YamlNode | undefined>()
  const open: (YamlMap | YamlList)[] = []
  let root: YamlNode | undefined
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) {
      anchored.clear()
      root = undefined
      continue
    }
    if (event.type === EVENT_ID.POP) {
      const closed = open.pop()
      if (closed === undefined) yield root
      else if (closed instanceof YamlMap) closed.merge(left)
      continue
    }
    const parent = open.at(-1)
    const { anchorStart, anchorEnd } = event
    const name = anchorStart < 0 ? '' : source.slice(anchorStart, anchorEnd)
    const isAlias = event.type === EVENT_ID.ALIAS
    let node: YamlNode | undefined
    let end = 0
    if (isAlias) {
      if (!anchored.has(name)) {
        const at = placeOf(anchorStart) - 1
        throw new YamlMistake(`there is no anchor &${name} before this alias`, { at })
      }
      node = anchored.get(name)
      end = placeOf(anchorEnd)
    } else {
      if (event.type === EVENT_ID.SCALAR) {
        node = textOf(text, moved(event, placeOf), parent)
        end = node?.end ?? 0
      } else if (event.type === EVENT_ID.MAPPING) {
        node = new YamlMap(event.style === COLLECTION_STYLE.FLOW)
      } else node = []
      if (anchorStart >= 0) anchored.set(name, node)
    }
    if (parent === undefined) root = node
    else if (parent instanceof YamlMap) parent.add(node, end, isAlias)
    else parent.push(node)
    if (!isAlias && node !== undefined && !(node instanceof YamlText)) open.push(node)
  }
}

/** With its offsets in the whole text. */
function moved(event: ScalarEvent, placeOf: (offset: number) => number): ScalarEvent {
  for (const name of ['anchorEnd', 'tagEnd', 'valueStart', 'valueEnd'] as const) {
    if (event[name] >= 0) event[name] = placeOf(event[name])
  }
  return event
}

/** @returns undefined for a field without a colon, which has no place for a value */
function textOf(
  text: string,
  event: ScalarEvent,
  parent: YamlMap | YamlList | undefined,
): YamlText | undefined {
  const isEmpty = event.valueStart < 0 && parent instanceof YamlMap
  const place = isEmpty ? parent.placeOfValue(text) : 0
  return place < 0 ? undefined : new YamlText(text, event, place)
}
