import { isScalar, type Node, type Pair, type Scalar, type YAMLMap } from 'yaml'
import {
  type Edit,
  type FileImages,
  type FileProblem,
  type ImageMention,
  type Pin,
  pinnedReference,
  type TextPositions,
} from './image-mention.ts'
import { textOf } from './yaml-document.ts'

/** No image has a `$` in it. */
const TEMPLATE = /\{\{|\$|<%|%\{/

/** Collects what documents of one text name. */
export class FoundImages {
  readonly #text: string
  readonly #positions: TextPositions
  /** By the place that is edited. */
  readonly #mentions = new Map<number, ImageMention>()
  /** Places that several images have in common, which no digest is right for. */
  readonly #shared = new Set<number>()
  readonly #problems = new Map<number, FileProblem>()

  constructor(text: string, positions: TextPositions) {
    this.#text = text
    this.#positions = positions
  }

  /** A text that is an image as a whole, or behind `prefix`. */
  add(scalar: Scalar, path: string, prefix = ''): void {
    const reference = this.#read(scalar, path)?.slice(prefix.length)
    if (reference === undefined || reference === '') return
    this.put({ at: scalar, edited: scalar }, path, reference, (pin) => [
      this.replace(scalar, prefix + pinnedReference(reference, pin)),
    ])
  }

  /** @param edited what a pin changes; an anchor or `<<` may put it into several images */
  put(
    { at, edited }: { readonly at: Scalar; readonly edited: Node },
    path: string,
    reference: string,
    pin: (pin: Pin) => readonly Edit[],
  ): void {
    const place = startOf(edited)
    const before = this.#mentions.get(place)
    if (before !== undefined && before.reference !== reference) {
      this.#shared.add(place)
      const message = `${before.path} and ${path} are different images that share this text`
      const images = [...(this.#problems.get(place)?.images ?? [before.reference]), reference]
      this.#problems.set(place, { ...this.#positions.at(place), message, isBroken: false, images })
    }
    const position = this.#positions.at(startOf(at))
    this.#mentions.set(place, { reference, ...position, path, pin })
  }

  /** What stands there, as it is written: `1.10` stays that. undefined: nothing that can be edited. */
  #read(scalar: Scalar, path: string): string | undefined {
    const text = textOf(scalar)
    if (text === undefined || text === '') return undefined
    if (TEMPLATE.test(text)) {
      this.problem(scalar, `${path} is a template: ${text.slice(0, 200)}`)
      return undefined
    }
    if (this.source(scalar).includes('\n')) {
      this.problem(scalar, `${path} is written over several lines; write it in one`)
      return undefined
    }
    return text
  }

  /** As `add` reads it, for fields that are parts of an image. */
  part(node: Node | undefined, path: string): { scalar: Scalar; text: string } | undefined {
    if (node === undefined || !isScalar(node)) return undefined
    const text = this.#read(node, path)
    return text === undefined ? undefined : { scalar: node, text }
  }

  problem(at: Scalar, message: string): void {
    const start = startOf(at)
    this.#problems.set(start, { ...this.#positions.at(start), message, isBroken: false })
  }

  source(scalar: Scalar): string {
    const [start = 0, end = 0] = scalar.range ?? []
    return this.#text.slice(start, end)
  }

  /** In the quotes in which it stands; JSON has no text without. */
  replace(scalar: Scalar, text: string): Edit {
    const [start = 0, end = 0] = scalar.range ?? []
    const added = typeof scalar.value !== 'string' && /^\s*[{[]/.test(this.#text) ? '"' : ''
    const [quote = added] = /^["']/.exec(this.source(scalar)) ?? []
    // A field without any value has no space behind its colon either, and none before a comment.
    const isEmpty = start === end
    const before = isEmpty && this.#text[start - 1] === ':' ? ' ' : ''
    const behind = isEmpty && this.#text[end] === '#' ? ' ' : ''
    return { start, end, text: `${before}${quote}${text}${quote}${behind}` }
  }

  /** A field behind another one of the same mapping, in a line of its own where those have one. */
  insertAfter(pair: Pair, mapping: YAMLMap, [name, text]: readonly [string, string]): Edit {
    const key = pair.key as Scalar
    const quote = mapping.flow === true && this.source(key).startsWith('"') ? '"' : ''
    const field = `${quote}${name}${quote}: ${quote}${text}${quote}`
    const value = pair.value as Scalar
    const [, valueEnd = 0] = value.range ?? []
    if (mapping.flow === true) return { start: valueEnd, end: valueEnd, text: `, ${field}` }
    const keyStart = startOf(key)
    const indent = ' '.repeat(keyStart - this.#text.lastIndexOf('\n', keyStart - 1) - 1)
    const newline = this.#text.indexOf('\n', valueEnd)
    const lineEnd = newline < 0 ? this.#text.length : newline
    const isWindows = this.#text[lineEnd - 1] === '\r'
    const at = isWindows ? lineEnd - 1 : lineEnd
    return { start: at, end: at, text: `${isWindows ? '\r\n' : '\n'}${indent}${field}` }
  }

  inOrder(): FileImages {
    const inOrder = <T>(found: ReadonlyMap<number, T>): T[] =>
      [...found].sort(([one], [other]) => one - other).map(([, thing]) => thing)
    const own = [...this.#mentions].filter(([place]) => !this.#shared.has(place))
    return { mentions: inOrder(new Map(own)), problems: inOrder(this.#problems) }
  }
}

function startOf(node: Node): number {
  return node.range?.[0] ?? 0
}
