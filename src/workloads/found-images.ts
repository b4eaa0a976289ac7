import {
  type Edit,
  type FileImages,
  type FileProblem,
  type ImageMention,
  type Pin,
  pinnedReference,
  type TextPositions,
} from './image-mention.ts'
import { type YamlField, type YamlMap, type YamlNode, YamlText } from './yaml-node.ts'

/** No image has a `$` in it. */
const TEMPLATE = /\{\{|\$|<%|%\{/
/** What JSON has without quotes. */
const JSON_WORD = /^(?:null|true|false|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)$/

/** A text that is a part of an image, or the whole. */
export interface Part {
  readonly at: YamlText
  readonly text: string
}

interface Found {
  /** Of the place, for people. */
  readonly at: YamlText
  /** Offset of what a pin changes; an anchor or `<<` may put it into several images. */
  readonly edited: number
  readonly path: string
  readonly reference: string
  readonly pin: (pin: Pin) => readonly Edit[]
}

/** Collects what documents of one text name. */
export class FoundImages {
  readonly #text: string
  readonly #positions: TextPositions
  /** By the place that is edited. */
  readonly #mentions = new Map<number, ImageMention>()
  /** The images of places that several have in common, which no digest is right for. */
  readonly #shared = new Map<number, string[]>()
  readonly #problems = new Map<number, FileProblem>()

  constructor(text: string, positions: TextPositions) {
    this.#text = text
    this.#positions = positions
  }

  /** A text that is an image as a whole, or behind `prefix`. */
  add(node: YamlText, path: string, prefix: string): void {
    const reference = this.part(node, path)?.text.slice(prefix.length)
    if (reference === undefined || reference === '') return
    const pin = (pin: Pin) => [this.replace(node, prefix + pinnedReference(reference, pin))]
    this.put({ at: node, edited: node.start, path, reference, pin })
  }

  put({ at, edited, path, pin, reference }: Found): void {
    const before = this.#mentions.get(edited)
    if (before !== undefined && before.reference !== reference) {
      const message = `${before.path} and ${path} are different images that share this text`
      const images = this.#shared.get(edited) ?? [before.reference]
      images.push(reference)
      this.#shared.set(edited, images)
      const place = this.#positions.at(edited)
      this.#problems.set(edited, { ...place, message, isBroken: false, images })
    }
    this.#mentions.set(edited, { reference, ...this.#positions.at(at.start), path, pin })
  }

  /** What stands there, as it is written: `1.10` stays that. undefined: nothing that can be edited. */
  part(node: YamlNode | undefined, path: string): Part | undefined {
    const text = node instanceof YamlText ? node.value : undefined
    if (!(node instanceof YamlText) || text === undefined || text.trim() === '') return undefined
    if (TEMPLATE.test(text)) {
      this.problem(node, `${path} is a template: ${text.slice(0, 200)}`)
      return undefined
    }
    if (/[\r\n]/.test(node.written)) {
      this.problem(node, `${path} is written over several lines; write it in one`)
      return undefined
    }
    return { at: node, text }
  }

  problem({ start }: YamlText, message: string): void {
    this.#problems.set(start, { ...this.#positions.at(start), message, isBroken: false })
  }

  /** In the quotes in which it stands; JSON has no text without. */
  replace(node: YamlText, text: string): Edit {
    const { end, start, written } = node
    const added = JSON_WORD.test(written) && /^\s*[{[]/.test(this.#text) ? '"' : ''
    const quote = node.quote || added
    const before = start === end ? ' ' : ''
    return { start, end, text: `${before}${quote}${text}${quote}` }
  }

  /** A field behind another one of the same mapping, in a line of its own where those have one. */
  insertAfter(field: YamlField, mapping: YamlMap, [name, text]: readonly [string, string]): Edit {
    const { end, key } = field
    const quote = mapping.isFlow && key?.quote === '"' ? '"' : ''
    const added = `${quote}${name}${quote}: ${quote}${text}${quote}`
    if (mapping.isFlow) return { start: end, end, text: `, ${added}` }
    const keyStart = key?.start ?? 0
    const indent = ' '.repeat(keyStart - this.#text.lastIndexOf('\n', keyStart - 1) - 1)
    const newline = this.#text.indexOf('\n', end)
    const lineEnd = newline < 0 ? this.#text.length : newline
    const isWindows = this.#text[lineEnd - 1] === '\r'
    const at = isWindows ? lineEnd - 1 : lineEnd
    return { start: at, end: at, text: `${isWindows ? '\r\n' : '\n'}${indent}${added}` }
  }

  inOrder(): FileImages {
    const inOrder = <T>(found: ReadonlyMap<number, T>): T[] =>
      [...found].sort(([one], [other]) => one - other).map(([, thing]) => thing)
    const own = [...this.#mentions].filter(([place]) => !this.#shared.has(place))
    return { mentions: inOrder(new Map(own)), problems: inOrder(this.#problems) }
  }
}
