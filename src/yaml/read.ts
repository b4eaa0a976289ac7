import {
  type AliasEvent,
  COLLECTION_STYLE,
  EVENT_ID,
  type MappingEvent,
  type ScalarEvent,
  type SequenceEvent,
} from 'js-yaml'
import type { YamlField, YamlList, YamlMap, YamlNode, YamlText } from './node.ts'
import { type Part, parsePart, partsOf, YamlError } from './parts.ts'
import { readScalar } from './scalar.ts'
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

/** The name of a field whose value is yet to come. */
interface Name extends Pick<YamlField, 'key' | 'line'> {
  /** undefined: what stands there is no name, which was noted. */
  readonly text: string | undefined
  readonly start: number
  /** Offset behind it; -1: not known. */
  readonly end: number
}

/** Of each list. */
const NO_FIELDS = new Map<string, YamlField>()

/** A list or map that is being read. */
interface Open {
  readonly node: YamlList | YamlMap
  readonly items: YamlNode[]
  readonly fields: Map<string, YamlField>
  /** What `<<` names. */
  readonly merged: { readonly node: YamlNode; readonly at: number }[]
  readonly anchor: Anchor | undefined
  /** Values that were read before it. */
  readonly before: number
  /** Of the item that is read. */
  index: number
  /** Of the field that is read; undefined: its name is yet to come. */
  name: Name | undefined
}

/** Puts together what the parser tells of documents, one after the other. */
class TreeBuilder {
  readonly #source: SourceText
  readonly #options: YamlOptions
  /** The last node so far that has an anchor of that name (YAML 1.2.2, 7.1). */
  readonly #anchors = new Map<string, Anchor>()
  readonly #open: Open[] = []
  #root: YamlNode | undefined
  /** Values so far, those that aliases stand for counted each time. */
  #count = 0
  #aliased = 0
  #merged = 0

  constructor(source: SourceText, options: YamlOptions) {
    this.#source = source
    this.#options = options
  }

  *roots(part: Part): Generator<YamlNode> {
    for (const event of part.events) {
      if (event.type === EVENT_ID.DOCUMENT) {
        this.#anchors.clear()
        this.#root = undefined
      } else if (event.type !== EVENT_ID.POP) this.#read(event, part)
      else if (this.#open.length > 0) this.#close()
      else if (this.#root !== undefined) yield this.#root
    }
  }

  #read(
    event: AliasEvent | MappingEvent | ScalarEvent | SequenceEvent,
    { placeOf, source }: Part,
  ): void {
    const { anchorEnd, anchorStart } = event
    const name = anchorStart < 0 ? undefined : source.slice(anchorStart, anchorEnd)
    if (event.type === EVENT_ID.ALIAS) {
      this.#alias(name ?? '', { start: placeOf(anchorStart) - 1, end: placeOf(anchorEnd) })
      return
    }
    const before = this.#count
    this.#count += 1
    const tag = event.tagStart < 0 ? '' : source.slice(event.tagStart, event.tagEnd)
    const isTextByTag = tag === '!!str' || tag === '!'
    if (tag !== '' && !isTextByTag) this.#note(placeOf(event.tagStart), TAG)
    if (event.type === EVENT_ID.SCALAR) {
      // With its offsets in the whole text.
      for (const offset of ['anchorEnd', 'tagEnd', 'valueStart', 'valueEnd'] as const) {
        if (event[offset] >= 0) event[offset] = placeOf(event[offset])
      }
      const { name: field, node: parent } = this.#open.at(-1) ?? {}
      const node = readScalar(
        this.#source,
        event,
        isTextByTag,
        field ?? { end: -1, line: parent?.line ?? 1 },
      )
      if (name !== undefined) this.#anchors.set(name, { node, size: 1 })
      this.#put(node, node.end)
      return
    }
    const isFlow = event.style === COLLECTION_STYLE.FLOW
    const start = placeOf(event.start)
    const at = { start, line: this.#source.lineAt(start), isFlow }
    const isMap = event.type === EVENT_ID.MAPPING
    const items: YamlNode[] = []
    const fields = isMap ? new Map<string, YamlField>() : NO_FIELDS
    const node = isMap
      ? ({ kind: 'map', ...at, fields } as const)
      : ({ kind: 'list', ...at, items } as const)
    const anchor = name === undefined ? undefined : { node, size: 0 }
    if (name !== undefined && anchor !== undefined) this.#anchors.set(name, anchor)
    this.#open.push({ node, items, fields, merged: [], anchor, before, index: 0, name: undefined })
  }

  #alias(name: string, place: NonNullable<YamlText['alias']>): void {
    const { maxAliased = Number.POSITIVE_INFINITY, note } = this.#options
    const anchor = this.#anchors.get(name)
    // Of size 0: the list or map is not whole yet, and would contain itself.
    if (anchor === undefined || (anchor.size === 0 && note !== undefined)) {
      if (note === undefined) throw new YamlError(NO_ANCHOR, { at: place.start })
      this.#note(place.start, NO_ANCHOR)
      this.#put(undefined, place.end)
      return
    }
    const { node, size } = anchor
    this.#count += size
    this.#aliased += size
    if (this.#aliased > maxAliased) {
      const message = `aliases add more than ${maxAliased} values to this file`
      throw new YamlError(message, { at: place.start })
    }
    this.#put(node.kind === 'text' ? { ...node, alias: place } : node, place.end)
  }

  /** Takes what is whole. */
  #put(node: YamlNode | undefined, end: number): void {
    const open = this.#open.at(-1)
    if (open === undefined) this.#root = node
    else if (open.node.kind === 'list') {
      open.index += 1
      if (node !== undefined) open.items.push(node)
    } else if (open.name === undefined) open.name = this.#nameOf(node, end, open)
    else {
      this.#add(open, open.name, node)
      open.name = undefined
    }
  }

  #nameOf(node: YamlNode | undefined, end: number, open: Open): Name {
    const { note } = this.#options
    // Where an alias gives the name, that is not in its place.
    const isText = node?.kind === 'text' && (node.alias === undefined || note !== undefined)
    const { line, start } = node ?? open.node
    if (isText) return { key: node, text: node.text, start, end, line }
    if (node !== undefined) this.#note(start, NO_NAME)
    return { key: undefined, text: note === undefined ? '' : undefined, start, end, line }
  }

  #add(
    { fields, merged }: Open,
    { key, line, start, text }: Name,
    value: YamlNode | undefined,
  ): void {
    if (text === undefined || value === undefined) return
    if (text === MERGE_KEY && key?.quoted === false) {
      merged.push({ node: value, at: start })
      return
    }
    const first = fields.get(text)
    if (first !== undefined && this.#options.note !== undefined) {
      this.#note(start, `written twice, first on line ${first.line}; keep one of them`)
      return
    }
    fields.set(text, { key, line, value, isMerged: false })
  }

  #close(): void {
    const open = this.#open.pop()
    if (open === undefined) return
    this.#merge(open)
    if (open.anchor !== undefined) open.anchor.size = this.#count - open.before
    this.#put(open.node, -1)
  }

  /** What is written beside `<<` wins, and of several maps the first one (yaml.org/type/merge.html). */
  #merge({ fields, merged }: Open): void {
    const { maxMerged } = this.#options
    for (const { at, node } of merged) {
      for (const map of node.kind === 'list' ? node.items : [node]) {
        if (map.kind !== 'map') this.#note(at, NO_MERGE, MERGE_KEY)
        const others = map.kind === 'map' ? map.fields : NO_FIELDS
        this.#merged += 1 + others.size
        if (this.#merged > maxMerged) {
          throw new YamlError(`${MERGE_KEY} adds more than ${maxMerged} fields`, { at })
        }
        for (const [name, field] of others) {
          if (!fields.has(name)) fields.set(name, { ...field, isMerged: true })
        }
      }
    }
  }

  #note(at: number, message: string, ...below: readonly string[]): void {
    const path = this.#open.flatMap(({ index, name, node }) =>
      node.kind === 'list' ? index : (name?.text ?? []),
    )
    this.#options.note?.({ at, path: [...path, ...below], message })
  }
}
