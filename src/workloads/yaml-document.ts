import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  type Node,
  type Pair,
  Parser,
  type Scalar,
  visit,
  type YAMLMap,
} from 'yaml'

/** Levels of nesting. The composer calls itself once for each, and V8's stack ends at some thousands. */
const MAX_DEPTH = 256

/** A text that is no YAML. */
export class YamlMistake extends Error {
  /** Offset in the text. */
  readonly at: number

  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}

/**
 * The documents of a text, one after the other: no more than one is held.
 *
 * @throws YamlMistake
 */
export function* parseDocuments(text: string): Generator<YamlDocument> {
  const parser = new Parser()
  const mayHaveAliases = text.includes('*')
  const composer = new Composer({ uniqueKeys: false, logLevel: 'silent', prettyErrors: false })
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) yield* read(composer.next(token), mayHaveAliases)
    if (parser.stack.length > MAX_DEPTH) {
      throw new YamlMistake(`it is nested more than ${MAX_DEPTH} levels deep`, parser.offset)
    }
  }
  for (const token of parser.end()) yield* read(composer.next(token), mayHaveAliases)
  yield* read(composer.end(false, text.length), mayHaveAliases)
}

function* read(
  documents: Iterable<Document.Parsed>,
  mayHaveAliases: boolean,
): Generator<YamlDocument> {
  for (const document of documents) {
    const [mistake] = document.errors
    if (mistake !== undefined) throw new YamlMistake(mistake.message, mistake.pos[0])
    yield new YamlDocument(document, mayHaveAliases)
  }
}

/** One document, whose mappings are read with aliases and `<<` followed. */
export class YamlDocument {
  readonly root: Node | undefined
  readonly #anchored: ReadonlyMap<Node, Node>
  readonly #read = new Map<YAMLMap, ReadonlyMap<string, Pair>>()

  /** @param mayHaveAliases whether the text it came from has a `*` at all */
  constructor(document: Document.Parsed, mayHaveAliases: boolean) {
    this.#anchored = mayHaveAliases ? anchoredNodes(document) : new Map()
    this.root = this.resolve(document.contents)
  }

  /** Keys and values of a mapping, those that it takes over by `<<` included. */
  entries(map: YAMLMap): (readonly [string, Node | undefined])[] {
    return [...this.#fields(map)].map(([key, { value }]) => [key, this.resolve(value)])
  }

  pair(map: YAMLMap, key: string): Pair | undefined {
    return this.#fields(map).get(key)
  }

  get(map: YAMLMap, key: string): Node | undefined {
    return this.resolve(this.pair(map, key)?.value)
  }

  text(map: YAMLMap, key: string): string | undefined {
    const node = this.get(map, key)
    return isScalar(node) ? textOf(node) : undefined
  }

  resolve(node: unknown): Node | undefined {
    if (isAlias(node)) return this.#anchored.get(node)
    return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined
  }

  /** Each mapping is read once: they may take each other over many times, or in a circle. */
  #fields(map: YAMLMap): ReadonlyMap<string, Pair> {
    const known = this.#read.get(map)
    if (known !== undefined) return known
    const fields = new Map<string, Pair>()
    this.#read.set(map, fields)
    for (const pair of map.items) if (keyOf(pair) !== '<<') fields.set(keyOf(pair), pair)
    for (const { value } of map.items.filter((pair) => keyOf(pair) === '<<')) {
      const node = this.resolve(value)
      for (const item of isSeq(node) ? node.items : [node]) {
        const merged = this.resolve(item)
        if (!isMap(merged)) continue
        for (const [key, pair] of this.#fields(merged)) {
          if (!fields.has(key)) fields.set(key, pair)
        }
      }
    }
    return fields
  }
}

/** What each alias stands for: the last node before it that has its anchor (YAML 1.2.2, 7.1). */
function anchoredNodes(document: Document.Parsed): ReadonlyMap<Node, Node> {
  const [byName, found] = [new Map<string, Node>(), new Map<Node, Node>()]
  visit(document, {
    Value(_key, node) {
      if (node.anchor !== undefined) byName.set(node.anchor, node)
    },
    Alias(_key, alias) {
      const node = byName.get(alias.source)
      if (node !== undefined) found.set(alias, node)
    },
  })
  return found
}

function keyOf({ key }: Pair): string {
  return isScalar(key) ? (textOf(key) ?? '') : ''
}

/** As it is written: `1.10` stays that. undefined: there is no value. */
export function textOf(scalar: Scalar): string | undefined {
  if (typeof scalar.value === 'string') return scalar.value
  if (scalar.value === null || scalar.value === undefined) return undefined
  return scalar.source
}
