import {
  EVENT_ID,
  type Event,
  getScalarValue,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
} from 'js-yaml'
import { joinPath } from './path.ts'
import type { ConfigProblem } from './problem.ts'

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

export interface YamlDocument {
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
  const lines = lineStarts(source)
  try {
    return new TreeBuilder(source, parseEvents(source, {}), lines).document()
  } catch (thrown) {
    return { problems: [syntaxProblem(thrown)] }
  }
}

function syntaxProblem(thrown: unknown): ConfigProblem {
  if (!(thrown instanceof YAMLException)) {
    return { line: 0, path: '', message: 'not readable as YAML' }
  }
  // Some reasons end in a piece of the file, which may be a piece of a password.
  const reason = thrown.reason.replace(/(?:: | ").*$/s, '')
  const line = thrown.mark === undefined ? 0 : thrown.mark.line + 1
  return { line, path: '', message: `not valid YAML: ${reason}` }
}

class TreeBuilder {
  readonly #source: string
  readonly #events: readonly Event[]
  readonly #lines: readonly number[]
  readonly #problems: ConfigProblem[] = []
  readonly #anchors = new Map<string, YamlNode>()
  #next = 0

  constructor(source: string, events: readonly Event[], lines: readonly number[]) {
    this.#source = source
    this.#events = events
    this.#lines = lines
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
    switch (event.type) {
      case EVENT_ID.SCALAR: {
        const line = event.valueStart < 0 ? fallbackLine : this.#lineAt(event.valueStart)
        const text = event.valueStart < 0 ? '' : getScalarValue(this.#source, event)
        const asText = this.#tag(event, path, line) === 'str'
        const quoted = asText || event.style !== SCALAR_STYLE.PLAIN
        return this.#anchored(event, { kind: 'text', text, quoted, line })
      }
      case EVENT_ID.SEQUENCE: {
        const line = this.#lineAt(event.start)
        this.#tag(event, path, line)
        return this.#anchored(event, { kind: 'list', items: this.#items(path, line), line })
      }
      case EVENT_ID.MAPPING: {
        const line = this.#lineAt(event.start)
        this.#tag(event, path, line)
        return this.#anchored(event, { kind: 'map', entries: this.#entries(path, line), line })
      }
      case EVENT_ID.ALIAS: {
        const found = this.#anchors.get(this.#source.slice(event.anchorStart, event.anchorEnd))
        if (found === undefined) {
          this.#problem(
            this.#lineAt(event.anchorStart),
            path,
            'an alias of an anchor that is not there',
          )
        }
        return found
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
    while (!this.#ended()) {
      const key = this.#value(path, mapLine)
      const line = key?.line ?? mapLine
      const name = key?.kind === 'text' ? key.text : undefined
      if (name === undefined) this.#problem(line, path, 'the name of a field must be plain text')
      const value = this.#value(name === undefined ? path : joinPath(path, name), line)
      if (name === undefined || value === undefined) continue
      const first = entries.get(name)
      if (first === undefined) entries.set(name, { key: name, line, value })
      else this.#problem(line, joinPath(path, name), `written twice, first on line ${first.line}`)
    }
    this.#next++
    return [...entries.values()]
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
  ): YamlNode {
    if (event.anchorStart >= 0) {
      this.#anchors.set(this.#source.slice(event.anchorStart, event.anchorEnd), node)
    }
    return node
  }

  #peek(): Event | undefined {
    return this.#events[this.#next]
  }

  #ended(): boolean {
    const event = this.#peek()
    return event === undefined || event.type === EVENT_ID.POP
  }

  #lineAt(offset: number): number {
    let low = 0
    let high = this.#lines.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#lines[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  #problem(line: number, path: string, message: string): void {
    this.#problems.push({ line, path, message })
  }
}

/** What YAML writes for nothing: an empty value, `~` and `null`. */
export function isEmpty(node: YamlNode): boolean {
  return node.kind === 'text' && !node.quoted && /^(?:|~|null|Null|NULL)$/.test(node.text)
}

function lineStarts(source: string): readonly number[] {
  const starts = [0]
  for (const lineBreak of source.matchAll(/\r\n|\r|\n/g)) {
    starts.push(lineBreak.index + lineBreak[0].length)
  }
  return starts
}
