import {
  placeOf,
  scalarOf,
  type YamlField,
  type YamlMap,
  type YamlNode,
  type YamlText,
} from '../yaml/node.ts'
import type { SourceText } from '../yaml/source-text.ts'
import {
  type Edit,
  type FileImages,
  type FileProblem,
  type ImageMention,
  type Pin,
  pinnedReference,
} from './image-mention.ts'

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
  readonly #source: SourceText
  /** By the place that is edited. */
  readonly #mentions = new Map<number, ImageMention>()
  /** The images of places that several have in common, which no digest is right for. */
  readonly #shared = new Map<number, string[]>()
  readonly #problems = new Map<number, FileProblem>()

  constructor(source: SourceText) {
    this.#source = source
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
      const place = this.#source.at(edited)
      this.#problems.set(edited, { ...place, message, isBroken: false, images })
    }
    this.#mentions.set(edited, { reference, ...this.#source.at(at.start), path, pin })
  }

  /** What stands there, as it is written: `1.10` stays that. undefined: nothing that can be edited. */
  part(node: YamlNode | undefined, path: string): Part | undefined {
    const text = scalarOf(node)
    if (node?.kind !== 'text' || text === undefined || text.trim() === '') return undefined
    if (TEMPLATE.test(text)) {
      this.problem(node, `${path} is a template: ${text.slice(0, 200)}`)
      return undefined
    }
    if (/[\r\n]/.test(this.#written(node))) {
      this.problem(node, `${path} is written over several lines; write it in one`)
      return undefined
    }
    return { at: node, text }
  }

  problem({ start }: YamlText, message: string): void {
    this.#problems.set(start, { ...this.#source.at(start), message, isBroken: false })
  }

  /** In the quotes in which it stands; JSON has no text without. */
  replace(node: YamlText, text: string): Edit {
    const { end, start } = node
    const added =
      JSON_WORD.test(this.#written(node)) && /^\s*[{[]/.test(this.#source.text) ? '"' : ''
    const quote = node.quote || added
    const before = start === end ? ' ' : ''
    return { start, end, text: `${before}${quote}${text}${quote}` }
  }

  /** As it stands in the text, quotes included. */
  #written({ end, start }: YamlText): string {
    return this.#source.text.slice(start, end)
  }

  /** A field behind another one of the same mapping, in a line of its own where those have one. */
  insertAfter(field: YamlField, mapping: YamlMap, [name, text]: readonly [string, string]): Edit {
    const { key, value } = field
    const { end } = value.kind === 'text' ? placeOf(value) : { end: 0 }
    const quote = mapping.isFlow && key?.quote === '"' ? '"' : ''
    const added = `${quote}${name}${quote}: ${quote}${text}${quote}`
    if (mapping.isFlow) return { start: end, end, text: `, ${added}` }
    const keyStart = key?.start ?? 0
    const indent = ' '.repeat(keyStart - this.#source.text.lastIndexOf('\n', keyStart - 1) - 1)
    const newline = this.#source.text.indexOf('\n', end)
    const lineEnd = newline < 0 ? this.#source.text.length : newline
    const isWindows = this.#source.text[lineEnd - 1] === '\r'
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
