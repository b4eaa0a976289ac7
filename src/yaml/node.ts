/** What YAML holds, and where. An alias of a list or map stands for that very node. */
export type YamlNode = YamlText | YamlList | YamlMap

interface Placed {
  /**
   * Offset of its first character, which may be a quote or the sign of a block of lines. Of nothing, where a value is
   * to be written; -1: without a colon in front of it there is no such place.
   */
  readonly start: number
  /** From 1. */
  readonly line: number
}

/** A scalar. It stays text: which type is meant, its reader knows. */
export interface YamlText extends Placed {
  readonly kind: 'text'
  /** What it means; `1.10` stays that. */
  readonly text: string
  /** It is text whatever it looks like: by quotes, by the sign of a block, or by its tag. */
  readonly quoted: boolean
  readonly quote: '' | '"' | "'"
  /** Offset behind its last character. */
  readonly end: number
  /** Where an alias of it stands, if this is what the alias stands for. */
  readonly alias?: { readonly start: number; readonly end: number }
}

export interface YamlList extends Placed {
  readonly kind: 'list'
  /** In brackets. */
  readonly isFlow: boolean
  readonly items: readonly YamlNode[]
}

export interface YamlMap extends Placed {
  readonly kind: 'map'
  /** In brackets. */
  readonly isFlow: boolean
  /** By name, with those that it takes over by `<<`. */
  readonly fields: ReadonlyMap<string, YamlField>
}

export interface YamlField {
  /** undefined: it is no text, and the name of the field is empty. */
  readonly key: YamlText | undefined
  /** Of its name. */
  readonly line: number
  readonly value: YamlNode
  /** It stands in another map, and is taken over by `<<`. */
  readonly isMerged: boolean
}

/** What YAML writes for nothing: an empty value, `~` and `null`. */
export function isEmpty(node: YamlNode): boolean {
  return node.kind === 'text' && !node.quoted && /^(?:|~|null|Null|NULL)$/.test(node.text)
}

/** @returns undefined: there is no such field, or nothing in it */
export function fieldOf(node: YamlNode | undefined, name: string): YamlNode | undefined {
  const value = node?.kind === 'map' ? node.fields.get(name)?.value : undefined
  return value === undefined || isEmpty(value) ? undefined : value
}

/** @returns none, too, for what is no list */
export function itemsOf(node: YamlNode | undefined): readonly YamlNode[] {
  return node?.kind === 'list' ? node.items : []
}

/** @returns undefined for nothing, and for what is no text */
export function scalarOf(node: YamlNode | undefined): string | undefined {
  return node?.kind === 'text' && !isEmpty(node) ? node.text : undefined
}

/** Where it stands in the text, or the alias that stands for it. */
export function placeOf(text: YamlText): Pick<YamlText, 'start' | 'end'> {
  return text.alias ?? text
}
