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

const TEMPLATE = /\{\{|\$\{|\$\(|<%|%\{/

/** Collects what documents of one text name. */
export class FoundImages {
  readonly #text: string
  readonly #positions: TextPositions
  readonly #mentions = new Map<number, ImageMention>()
  readonly #problems = new Map<number, FileProblem>()

  constructor(text: string, positions: TextPositions) {
    this.#text = text
    this.#positions = positions
  }

  /** A text that is an image as a whole, or behind `prefix`. */
  add(scalar: Scalar, path: string, prefix = ''): void {
    const reference = this.#read(scalar, path)?.slice(prefix.length)
    if (reference === undefined || reference === '') return
    this.put(scalar, path, reference, (pin) => [
      this.replace(scalar, prefix + pinnedReference(reference, pin)),
    ])
  }

  put(at: Scalar, path: string, reference: string, pin: (pin: Pin) => readonly Edit[]): void {
    const start = startOf(at)
    this.#mentions.set(start, { reference, ...this.#positions.at(start), path, pin })
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

  /** In the quotes in which it stands. */
  replace(scalar: Scalar, text: string): Edit {
    const [start = 0, end = 0] = scalar.range ?? []
    const [quote = ''] = /^["']/.exec(this.source(scalar)) ?? []
    // A field without any value has no space behind its colon either.
    const space = start === end && this.#text[start - 1] === ':' ? ' ' : ''
    return { start, end, text: `${space}${quote}${text}${quote}` }
  }

  /** A field behind another one of the same mapping, in a line of its own where those have one. */
  insertAfter(pair: Pair, mapping: YAMLMap, field: string): Edit {
    const key = pair.key as Scalar
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
    return { mentions: inOrder(this.#mentions), problems: inOrder(this.#problems) }
  }
}

function startOf(node: Node): number {
  return node.range?.[0] ?? 0
}
