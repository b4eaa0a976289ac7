import { getScalarValue, SCALAR_STYLE, type ScalarEvent } from 'js-yaml'

/** Fields and mappings that `<<` takes over in one text: a few lines could otherwise mean billions. */
export const MAX_MERGED = 100_000
const MERGE_KEY = '<<'

/** A text that is no YAML. */
export class YamlMistake extends Error {
  /** Offset in the text. */
  readonly at: number

  constructor(message: string, options: ErrorOptions & { readonly at: number }) {
    super(message, options)
    this.at = options.at
  }
}

/** What an alias stands for is the node of its anchor itself. */
export type YamlNode = YamlText | YamlMap | YamlList
export interface YamlList extends Array<YamlNode | undefined> {}

/** A scalar, as it is written. */
export class YamlText {
  readonly #source: string
  readonly #event: ScalarEvent
  readonly #place: number

  /** @param place where it is to be written that is empty */
  constructor(source: string, event: ScalarEvent, place: number) {
    this.#source = source
    this.#event = event
    this.#place = Math.max(place, event.anchorEnd, event.tagEnd)
  }

  /** `1.10` stays that. undefined: there is no value. */
  get value(): string | undefined {
    const text = getScalarValue(this.#source, this.#event)
    const isNothing =
      this.#event.style === SCALAR_STYLE.PLAIN && /^(?:|~|null|Null|NULL)$/.test(text)
    return isNothing ? undefined : text
  }

  /** Offset of its first character, which may be a quote, or the sign of a block of lines. */
  get start(): number {
    const { style, valueStart } = this.#event
    if (valueStart < 0) return this.#place
    if (this.quote !== '') return valueStart - 1
    if (style === SCALAR_STYLE.PLAIN) return valueStart
    const line = this.#source.lastIndexOf('\n', valueStart - 2) + 1
    return line + this.#source.slice(line, valueStart).search(/[|>][-+\d]*[ \t]*(?:#.*)?\s*$/)
  }

  /** Offset behind its last character. */
  get end(): number {
    const { valueEnd } = this.#event
    return valueEnd < 0 ? this.#place : valueEnd + this.quote.length
  }

  get quote(): '' | '"' | "'" {
    const { style } = this.#event
    if (style === SCALAR_STYLE.DOUBLE_QUOTED) return '"'
    return style === SCALAR_STYLE.SINGLE_QUOTED ? "'" : ''
  }

  /** As it stands in the text, quotes included. */
  get written(): string {
    return this.#source.slice(this.start, this.end)
  }
}

/** A field of a mapping, as it is written there. */
export interface YamlField {
  /** undefined: it is no text, and the name of the field is empty. */
  readonly key: YamlText | undefined
  readonly value: YamlNode | undefined
  /** Offset behind the value, which may be an alias; of a list or mapping 0. */
  readonly end: number
}

/** A mapping, with the fields that it takes over by `<<`. */
export class YamlMap {
  readonly isFlow: boolean
  readonly fields = new Map<string, YamlField>()
  readonly #merged: { readonly node: YamlNode; readonly at: number }[] = []
  /** Of which the value is yet to come. */
  #key: { readonly text: YamlText | undefined; readonly end: number } | undefined

  constructor(isFlow: boolean) {
    this.isFlow = isFlow
  }

  /** Takes keys and values by turns, as they come from the parser. */
  add(node: YamlNode | undefined, end: number, isAlias: boolean): void {
    if (this.#key === undefined) {
      this.#key = { text: node instanceof YamlText && !isAlias ? node : undefined, end }
      return
    }
    const key = this.#key.text
    const name = key?.value ?? ''
    if (name !== MERGE_KEY) this.fields.set(name, { key, value: node, end })
    else if (node !== undefined) this.#merged.push({ node, at: key?.start ?? 0 })
    this.#key = undefined
  }

  /** Offset behind the colon of the last key; -1: it has none. */
  placeOfValue(text: string): number {
    const colon = /(?:\s|#.*[\r\n])*:/y
    colon.lastIndex = this.#key?.end ?? 0
    return colon.test(text) ? colon.lastIndex : -1
  }

  /** Takes over what `<<` names: what is written beside it wins, and of several the first. @throws YamlMistake */
  merge(left: { merged: number }): void {
    for (const { at, node } of this.#merged) {
      for (const map of Array.isArray(node) ? node : [node]) {
        const fields = map instanceof YamlMap ? map.fields : new Map<string, YamlField>()
        left.merged -= 1 + fields.size
        if (left.merged < 0) {
          throw new YamlMistake(`${MERGE_KEY} adds more than ${MAX_MERGED} fields`, { at })
        }
        for (const [name, field] of fields) this.fields.set(name, this.fields.get(name) ?? field)
      }
    }
  }

  get(name: string): YamlNode | undefined {
    return this.fields.get(name)?.value
  }

  text(name: string): string | undefined {
    const node = this.get(name)
    return node instanceof YamlText ? node.value : undefined
  }
}
