import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE } from 'js-yaml'
import { type ConfigProblem, joinPath, MAX_PROBLEMS } from './diagnostics.ts'
import { SourceLines, yamlSyntaxProblem } from './yaml-mistakes.ts'

const NO_ANCHOR =
  'an alias of an anchor that is not there; a value that begins with * has to be in quotes'
const NO_NAME =
  'the name of a field must be plain text; a value that begins with { or [ has to be in quotes'

const NO_MERGE = 'a merge key takes fields, or a list of such: mostly an alias, `<<: *name`'
const MERGE_KEY = '<<'
/** A few lines of aliases could otherwise mean billions of fields. */
const MAX_MERGED = 10_000
/** Values that aliases stand for, each time anew. */
const MAX_ALIASED = 100_000

/** A YAML value that knows where it stands. Scalars stay text: which type is meant, the schema says. */
export type YamlNode =
  | {
      readonly kind: 'text'
      readonly text: string
      readonly quoted: boolean
      readonly line: number
    }
  | { readonly kind: 'list'; readonly items: readonly YamlNode[]; readonly line: number }
  | { readonly kind: 'map'; readonly entries: readonly YamlEntry[]; readonly line: number }

export interface YamlEntry {
  readonly key: string
  readonly line: number
  readonly value: YamlNode
}

interface YamlDocument {
  /** Absent: the text holds nothing but comments. */
  readonly root?: YamlNode
  readonly problems: readonly ConfigProblem[]
}

/**
 * Reads one YAML document with the line (from 1) of every value in it. Never throws: what is not
 * YAML, a field written twice, a second document and tags come back as problems.
 */
export function parseYaml(text: string): YamlDocument {
  // Offsets count from after the byte order mark that Windows editors write.
  const source = text.replace(/^\uFEFF/, '')
  try {
    return new TreeBuilder(source, parseEvents(source, {})).document()
  } catch (thrown) {
    return { problems: [yamlSyntaxProblem(source, thrown)] }
  }
}

class TreeBuilder {
  readonly #source: string
  readonly #events: readonly Event[]
  readonly #lines: SourceLines
  readonly #problems: ConfigProblem[] = []
  readonly #anchors = new Map<string, { readonly node: YamlNode; readonly size: number }>()
  #next = 0
  /** Values read so far, those that aliases stand for counted each time. */
  #count = 0
  #aliasedCount = 0
  #mergedCount = 0

  constructor(source: string, events: readonly Event[]) {
    this.#source = source
    this.#events = events
    this.#lines = new SourceLines(source)
  }

  document(): YamlDocument {
    const roots: YamlNode[] = []
    while (this.#peek() !== undefined) {
      this.#next++
      this.#anchors.clear()
      const root = this.#value('', 1)
      this.#next++
      if (root !== undefined && !isEmpty(root)) roots.push(root)
    }
    const [root, second] = roots
    if (second !== undefined) {
      this.#problem(second.line, '', 'a second YAML document; one file holds one configuration')
    }
    return { ...(root === undefined ? {} : { root }), problems: this.#problems }
  }

  /** Undefined: nothing usable, and the problem is noted. */
  #value(path: string, fallbackLine: number): YamlNode | undefined {
    const event = this.#peek()
    if (event === undefined || event.type === EVENT_ID.POP) return undefined
    this.#next++
    const before = this.#count++
    switch (event.type) {
      case EVENT_ID.SCALAR: {
        const line = event.valueStart < 0 ? fallbackLine : this.#lines.lineAt(event.valueStart)
        const text = event.valueStart < 0 ? '' : getScalarValue(this.#source, event)
        const asText = this.#tag(event, path, line) === 'str'
        const quoted = asText || event.style !== SCALAR_STYLE.PLAIN
        return this.#anchored(event, { kind: 'text', text, quoted, line }, before)
      }
      case EVENT_ID.SEQUENCE: {
        const line = this.#lines.lineAt(event.start)
        this.#tag(event, path, line)
        const items = this.#items(path, line)
        return this.#anchored(event, { kind: 'list', items, line }, before)
      }
      case EVENT_ID.MAPPING: {
        const line = this.#lines.lineAt(event.start)
        this.#tag(event, path, line)
        const entries = this.#entries(path, line)
        return this.#anchored(event, { kind: 'map', entries, line }, before)
      }
      case EVENT_ID.ALIAS: {
        const found = this.#anchors.get(this.#source.slice(event.anchorStart, event.anchorEnd))
        if (found !== undefined) return this.#aliased(found, event.anchorStart - 1, path)
        this.#problemAt(event.anchorStart - 1, path, NO_ANCHOR)
        return undefined
      }
      default:
        return undefined
    }
  }

  #items(path: string, line: number): readonly YamlNode[] {
    const items: YamlNode[] = []
    for (let index = 0; !this.#ended(); index++) {
      const item = this.#value(joinPath(path, index), line)
      if (item !== undefined) items.push(item)
    }
    this.#next++
    return items
  }

  #entries(path: string, mapLine: number): readonly YamlEntry[] {
    const entries = new Map<string, YamlEntry>()
    const merged: YamlEntry[] = []
    while (!this.#ended()) {
      const start = startOf(this.#peek())
      const key = this.#value(path, mapLine)
      const line = key?.line ?? mapLine
      const name = key?.kind === 'text' ? key.text : undefined
      if (name === undefined) this.#problemAt(start, path, NO_NAME)
      const value = this.#value(name === undefined ? path : joinPath(path, name), line)
      if (name === undefined || value === undefined) continue
      if (name === MERGE_KEY && key?.kind === 'text' && !key.quoted) {
        merged.push(...this.#merged(value, start, joinPath(path, name)))
        continue
      }
      const first = entries.get(name)
      if (first === undefined) entries.set(name, { key: name, line, value })
      else this.#problemAt(start, joinPath(path, name), writtenTwice(first))
    }
    this.#next++
    // What is written beside `<<` wins, and of several maps the first one.
    for (const entry of merged) if (!entries.has(entry.key)) entries.set(entry.key, entry)
    return [...entries.values()]
  }

  /** The entries of a map, or of a list of maps, below a merge key (yaml.org/type/merge.html). */
  #merged(value: YamlNode, start: number, path: string): readonly YamlEntry[] {
    const maps = value.kind === 'list' ? value.items : [value]
    const lists = maps.map((map) => (map.kind === 'map' ? map.entries : []))
    if (maps.some(({ kind }) => kind !== 'map')) this.#problemAt(start, path, NO_MERGE)
    // Counted before they are put together: one list may hold billions.
    this.#mergedCount += lists.reduce((sum, { length }) => sum + length, 0)
    if (this.#mergedCount <= MAX_MERGED) return lists.flat()
    this.#problemAt(start, path, `merge keys add more than ${MAX_MERGED} fields to this file`)
    return []
  }

  #tag(
    event: { readonly tagStart: number; readonly tagEnd: number },
    path: string,
    line: number,
  ): 'str' | undefined {
    if (event.tagStart < 0) return undefined
    const tag = this.#source.slice(event.tagStart, event.tagEnd)
    if (tag === '!!str' || tag === '!') return 'str'
    this.#problem(line, path, 'YAML tags are not used here; write the plain value')
    return undefined
  }

  #anchored(
    event: { readonly anchorStart: number; readonly anchorEnd: number },
    node: YamlNode,
    countBefore: number,
  ): YamlNode {
    if (event.anchorStart >= 0) {
      const name = this.#source.slice(event.anchorStart, event.anchorEnd)
      this.#anchors.set(name, { node, size: this.#count - countBefore })
    }
    return node
  }

  #aliased(
    { node, size }: { readonly node: YamlNode; readonly size: number },
    start: number,
    path: string,
  ): YamlNode | undefined {
    const isFirst = this.#aliasedCount <= MAX_ALIASED
    this.#aliasedCount += size
    this.#count += size
    if (this.#aliasedCount <= MAX_ALIASED) return node
    if (isFirst) {
      this.#problemAt(start, path, `aliases add more than ${MAX_ALIASED} values to this file`)
    }
    return undefined
  }

  #peek(): Event | undefined {
    return this.#events[this.#next]
  }

  #ended(): boolean {
    const event = this.#peek()
    return event === undefined || event.type === EVENT_ID.POP
  }

  #problem(line: number, path: string, message: string): void {
    this.#problems.push({ line, path, message })
  }

  /** With the line itself; of the first ones alone, since a megabyte may hold very many. */
  #problemAt(offset: number, path: string, message: string): void {
    const line = this.#lines.lineAt(offset)
    if (this.#problems.length >= MAX_PROBLEMS) {
      this.#problem(line, path, message)
      return
    }
    this.#problems.push({ path, message, ...this.#lines.shown(offset) })
  }
}

function writtenTwice({ line }: YamlEntry): string {
  return `written twice, first on line ${line}; keep one of them`
}

function startOf(event: Event | undefined): number {
  if (event === undefined) return 0
  if (event.type === EVENT_ID.SCALAR) return Math.max(0, event.valueStart)
  if (event.type === EVENT_ID.SEQUENCE || event.type === EVENT_ID.MAPPING) return event.start
  return event.type === EVENT_ID.ALIAS ? event.anchorStart - 1 : 0
}

/** @returns undefined: there is no such field, or nothing in it */
export function fieldOf(node: YamlNode | undefined, name: string): YamlNode | undefined {
  const value =
    node?.kind === 'map' ? node.entries.find(({ key }) => key === name)?.value : undefined
  return value === undefined || isEmpty(value) ? undefined : value
}

/** @returns none, too, for what is no list */
export function itemsOf(node: YamlNode | undefined): readonly YamlNode[] {
  return node?.kind === 'list' ? node.items : []
}

/** @returns empty, too, for what is no text */
export function scalarOf(node: YamlNode | undefined): string {
  return node?.kind === 'text' ? node.text : ''
}

/** What YAML writes for nothing: an empty value, `~` and `null`. */
export function isEmpty(node: YamlNode): boolean {
  return node.kind === 'text' && !node.quoted && /^(?:|~|null|Null|NULL)$/.test(node.text)
}
