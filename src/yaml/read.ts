import {
  type AliasEvent,
  COLLECTION_STYLE,
  EVENT_ID,
  getScalarValue,
  type MappingEvent,
  SCALAR_STYLE,
  type ScalarEvent,
  type SequenceEvent,
} from 'js-yaml'
import { placeOf, type YamlField, type YamlNode, type YamlText } from './node.ts'
import { type Part, parsePart, partsOf, YamlError } from './parts.ts'
import type { SourceText } from './source-text.ts'

/** What may be read all the same, but is mostly a mistake. */
export interface YamlProblem {
  /** Offset in the text. */
  readonly at: number
  /** Of the value, in its document. */
  readonly path: readonly (string | number)[]
  readonly message: string
}

export interface YamlOptions {
  /** Levels of nesting. The parser calls itself for each, and V8's stack ends at some thousands. */
  readonly maxDepth: number
  /** Fields and maps that `<<` takes over: a few lines could otherwise mean billions. */
  readonly maxMerged: number
  /** Values that aliases stand for, each time anew, where they are walked so. Default: no limit. */
  readonly maxAliased?: number
  /**
   * Called with each problem, and what has it is left out. Without it problems pass, as other programs take them: tags,
   * names that are no text, anchors that contain themselves; and of fields written twice the last one counts.
   */
  readonly note?: (problem: YamlProblem) => void
}

/** Of one text. Each has a price, be it empty. */
const MAX_DOCUMENTS = 50_000
const MERGE_KEY = '<<'
const NO_ANCHOR =
  'an alias of an anchor that is not there; a value that begins with * has to be in quotes'
const NO_NAME =
  'the name of a field must be plain text; a value that begins with { or [ has to be in quotes'
const NO_MERGE = 'a merge key takes fields, or a list of such: mostly an alias, `<<: *name`'
const TAG = 'YAML tags are not used here; write the plain value'

/**
 * The roots of the documents of a text, one after the other: no more than one document is held.
 *
 * @throws YamlError
 */
export function* readYaml(source: SourceText, options: YamlOptions): Generator<YamlNode> {
  const builder = new TreeBuilder(source, options)
  let documents = 0
  for (const [start, end] of partsOf(source.text)) {
    const part = parsePart(source.text.slice(start, end), start, options.maxDepth)
    for (const root of builder.roots(part)) {
      documents += 1
      if (documents > MAX_DOCUMENTS) {
        throw new YamlError(`it has more than ${MAX_DOCUMENTS} documents`, { at: start })
      }
      yield root
    }
  }
}

/** What an anchor marks. */
interface Anchor {
  readonly node: YamlNode
  /** Values in it, those that aliases stand for counted each time. */
  size: number
}

/** From a document to a value in it; undefined: to its root. */
type Path = { readonly above: Path; readonly step: string | number } | undefined

/** What stands in front of a value: the name that ends there, or -1, and the line of a value that is not written. */
interface Before {
  readonly end: number
  readonly line: number
}

/** Puts together what the parser tells of documents, one after the other. */
class TreeBuilder {
  readonly #source: SourceText
  readonly #options: YamlOptions
  /** The last node so far that has an anchor of that name (YAML 1.2.2, 7.1). */
  readonly #anchors = new Map<string, Anchor>()
  #part: Part = { source: '', events: [], placeOf: (offset) => offset }
  #next = 0
  /** Values so far, those that aliases stand for counted each time. */
  #count = 0
  #aliased = 0
  #merged = 0

  constructor(source: SourceText, options: YamlOptions) {
    this.#source = source
    this.#options = options
  }

  *roots(part: Part): Generator<YamlNode> {
    this.#part = part
    this.#next = 0
    while (this.#next < part.events.length) {
      this.#next += 1
      this.#anchors.clear()
      const root = this.#value(undefined, { end: -1, line: 1 })
      this.#next += 1
      if (root !== undefined) yield root
    }
  }

  /** @returns undefined: nothing usable, which was noted */
  #value(path: Path, before: Before): YamlNode | undefined {
    const { events, placeOf, source } = this.#part
    const event = events[this.#next] as AliasEvent | MappingEvent | ScalarEvent | SequenceEvent
    this.#next += 1
    const { anchorEnd, anchorStart } = event
    const name = anchorStart < 0 ? undefined : source.slice(anchorStart, anchorEnd)
    if (event.type === EVENT_ID.ALIAS) {
      return this.#alias(
        name ?? '',
        { start: placeOf(anchorStart) - 1, end: placeOf(anchorEnd) },
        path,
      )
    }
    const count = this.#count
    this.#count += 1
    const tag = event.tagStart < 0 ? '' : source.slice(event.tagStart, event.tagEnd)
    const isTextByTag = tag === '!!str' || tag === '!'
    if (tag !== '' && !isTextByTag) this.#note(placeOf(event.tagStart), path, TAG)
    if (event.type === EVENT_ID.SCALAR) {
      // With its offsets in the whole text.
      for (const offset of ['anchorEnd', 'tagEnd', 'valueStart', 'valueEnd'] as const) {
        if (event[offset] >= 0) event[offset] = placeOf(event[offset])
      }
      const node = readScalar(this.#source, event, isTextByTag, before)
      if (name !== undefined) this.#anchors.set(name, { node, size: 1 })
      return node
    }
    const start = placeOf(event.start)
    const isFlow = event.style === COLLECTION_STYLE.FLOW
    const at = { start, line: this.#source.lineAt(start), isFlow }
    const fields = new Map<string, YamlField>()
    const items: YamlNode[] = []
    const isMap = event.type === EVENT_ID.MAPPING
    const node: YamlNode = isMap ? { kind: 'map', ...at, fields } : { kind: 'list', ...at, items }
    const anchor = { node, size: 0 }
    if (name !== undefined) this.#anchors.set(name, anchor)
    if (isMap) this.#readFields(fields, path, at)
    else this.#readItems(items, path, at)
    anchor.size = this.#count - count
    return node
  }

  /** Whether the list or map ends here; it is passed then. */
  #takeEnd(): boolean {
    const { type } = this.#part.events[this.#next] ?? { type: EVENT_ID.POP }
    if (type === EVENT_ID.POP) this.#next += 1
    return type === EVENT_ID.POP
  }

  #readItems(items: YamlNode[], path: Path, { line }: Pick<YamlNode, 'line'>): void {
    for (let index = 0; !this.#takeEnd(); index += 1) {
      const item = this.#value({ above: path, step: index }, { end: -1, line })
      if (item !== undefined) items.push(item)
    }
  }

  #readFields(
    fields: Map<string, YamlField>,
    path: Path,
    map: Pick<YamlNode, 'line' | 'start'>,
  ): void {
    const merged: { readonly node: YamlNode; readonly at: number }[] = []
    while (!this.#takeEnd()) {
      const alias = this.#startOfAlias()
      const read = this.#value(path, { end: -1, line: map.line })
      const start = alias ?? Math.max(read?.start ?? -1, map.start)
      const line = this.#source.lineAt(start)
      const key = this.#nameIn(read, path, start)
      const name = key?.text ?? (this.#options.note === undefined ? '' : undefined)
      const below = name === undefined ? path : { above: path, step: name }
      const end = read?.kind === 'text' ? placeOf(read).end : -1
      const value = this.#value(below, { end, line })
      if (name === undefined || value === undefined) continue
      const first = fields.get(name)
      if (name === MERGE_KEY && key?.quoted === false) merged.push({ node: value, at: start })
      else if (first === undefined || this.#options.note === undefined) {
        fields.set(name, { key, line, value, isMerged: false })
      } else
        this.#note(start, below, `written twice, first on line ${first.line}; keep one of them`)
    }
    for (const { at, node } of merged) this.#merge(fields, node, at, path)
  }

  /** Offset of what is read next, if it is an alias: its node stands elsewhere. */
  #startOfAlias(): number | undefined {
    const { events, placeOf } = this.#part
    const event = events[this.#next]
    return event?.type === EVENT_ID.ALIAS ? placeOf(event.anchorStart) - 1 : undefined
  }

  /** @param at where it is written */
  #nameIn(node: YamlNode | undefined, path: Path, at: number): YamlText | undefined {
    // Where an alias gives the name, that is not in its place.
    const isStrict = this.#options.note !== undefined
    if (node?.kind === 'text' && (isStrict || node.alias === undefined)) return node
    if (node !== undefined) this.#note(at, path, NO_NAME)
    return undefined
  }

  /** What is written beside `<<` wins, and of several maps the first one (yaml.org/type/merge.html). */
  #merge(fields: Map<string, YamlField>, node: YamlNode, at: number, path: Path): void {
    const { maxMerged } = this.#options
    for (const map of node.kind === 'list' ? node.items : [node]) {
      if (map.kind !== 'map') this.#note(at, { above: path, step: MERGE_KEY }, NO_MERGE)
      const others = map.kind === 'map' ? [...map.fields] : []
      this.#merged += 1 + others.length
      if (this.#merged > maxMerged) {
        throw new YamlError(`${MERGE_KEY} adds more than ${maxMerged} fields`, { at })
      }
      for (const [name, field] of others) {
        if (!fields.has(name)) fields.set(name, { ...field, isMerged: true })
      }
    }
  }

  #alias(name: string, place: NonNullable<YamlText['alias']>, path: Path): YamlNode | undefined {
    const { maxAliased = Number.POSITIVE_INFINITY, note } = this.#options
    const { start: at } = place
    const anchor = this.#anchors.get(name)
    // Of size 0: the list or map is not whole yet, and would contain itself.
    if (anchor === undefined || (anchor.size === 0 && note !== undefined)) {
      if (note === undefined) throw new YamlError(NO_ANCHOR, { at })
      this.#note(at, path, NO_ANCHOR)
      return undefined
    }
    const { node, size } = anchor
    this.#count += size
    this.#aliased += size
    if (this.#aliased > maxAliased) {
      throw new YamlError(`aliases add more than ${maxAliased} values to this file`, { at })
    }
    return node.kind === 'text' ? { ...node, alias: place } : node
  }

  #note(at: number, path: Path, message: string): void {
    const steps: (string | number)[] = []
    for (let each = path; each !== undefined; each = each.above) steps.unshift(each.step)
    this.#options.note?.({ at, path: steps, message })
  }
}

const QUOTES: ReadonlyMap<number, '"' | "'"> = new Map([
  [SCALAR_STYLE.DOUBLE_QUOTED, '"'],
  [SCALAR_STYLE.SINGLE_QUOTED, "'"],
])

/**
 * What the parser tells of a scalar.
 *
 * @param event with its offsets in `source`
 * @param isTextByTag its tag makes it text
 */
function readScalar(
  source: SourceText,
  event: ScalarEvent,
  isTextByTag: boolean,
  before: Before,
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
