import { YAMLException } from 'js-yaml'
import { ConfigFile } from '../../api/v1/config.ts'
import type { Schema } from '../../api/v1/schema.ts'
import type { ConfigProblem } from './diagnostics.ts'

const LINE_BREAK = /\r\n|\r|\n/g
/** A line may be a megabyte. */
const MAX_READ_CHARACTERS = 1_000

/** Where something stands, and the line itself with a caret below it. */
interface Place {
  /** From 1, like the column. */
  readonly line: number
  readonly column: number
  readonly excerpt: readonly string[]
}

/** The lines of a file. */
export class SourceLines {
  readonly #source: string
  /** The offset of each line's beginning. */
  readonly #starts = [0]
  #texts: readonly string[] | undefined

  constructor(source: string) {
    this.#source = source
    for (const lineBreak of source.matchAll(LINE_BREAK)) {
      this.#starts.push(lineBreak.index + lineBreak[0].length)
    }
  }

  get texts(): readonly string[] {
    this.#texts ??= this.#source.split(LINE_BREAK)
    return this.#texts
  }

  /** From 1. */
  lineAt(offset: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#starts[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low
  }

  shown(offset: number): Place {
    const line = this.lineAt(offset)
    const column = offset - (this.#starts[line - 1] ?? 0) + 1
    return { line, column, excerpt: excerpt(this.texts, line, column) }
  }
}

/** What the parser threw, with the line, a caret and the likely cause; nothing else of the file. */
export function yamlSyntaxProblem(source: string, thrown: unknown): ConfigProblem {
  if (!(thrown instanceof YAMLException)) {
    return { line: 0, path: '', message: 'not readable as YAML' }
  }
  // Some reasons end in a piece of the file, which may be a piece of a password.
  const reason = thrown.reason.replace(/(?:: | ").*$/s, '')
  const message = `not valid YAML: ${reason}`
  if (thrown.mark === undefined) return { line: 0, path: '', message }
  const lines = new SourceLines(source).texts
  const [line, column] = [thrown.mark.line + 1, thrown.mark.column + 1]
  const hint = yamlHint(lines, line, reason)
  return {
    line,
    column,
    path: '',
    message: hint === undefined ? message : `${message}; ${hint}`,
    excerpt: excerpt(lines, line, column),
  }
}

/** What the value of a line begins with, after its name and the dash of a list. */
const VALUE = /^\s*(?:-\s+)*(?:["']?[\w.-]+["']?\s*:\s+)?(\S.*)?$/
const NAMED = /^(\s*)(?:-\s+)*[\w.-]+\s*:\s+\S/

/** Why a parser stumbles there, by what the line itself looks like. First match counts. */
const CAUSES: readonly (readonly [(line: Line) => boolean, string])[] = [
  [({ text }) => /^ *\t/.test(text), 'indent with spaces: YAML takes no tabs there'],
  [
    ({ reason }) => /end of the stream within|deficient indentation/.test(reason),
    'a quote or a bracket that was opened above is not closed',
  ],
  [
    ({ value }) => /^[@`%]/.test(value),
    'a value that begins with @, ` or % has to be in quotes: "@value"',
  ],
  [
    ({ value }) => /^[{[].*[}\]]./.test(value),
    'a value that begins with { or [ has to be in quotes: "{domain}/{path}"',
  ],
  [
    ({ value }) => /^(["']).*\1./.test(value),
    'nothing may follow the quote that ends a value; a value with one kind of quote in it goes between two of the other kind',
  ],
  [
    ({ value }) => /^[^"'{[#][^#]*:(?:\s|$)/.test(value),
    'a value with a colon and a space in it has to be in quotes: "a: b"',
  ],
  [
    ({ text, above }) => indentOf(text) > indentOf(above) && NAMED.test(above),
    'fields that belong together begin in the same column as the one above',
  ],
  [
    ({ above }) => /^[\w.-]+$/.test(above.trim()),
    'the name of a field is followed by a colon, which is missing in the line above',
  ],
  [
    ({ reason }) => /indentation/.test(reason),
    'fields and items that belong together begin in the same column',
  ],
]

interface Line {
  readonly text: string
  readonly value: string
  /** The last line before it that says something. */
  readonly above: string
  readonly reason: string
}

/**
 * What is most likely wrong in a line that is not YAML. Never repeats what stands there.
 *
 * @param line from 1
 * @param reason the parser's own
 * @returns undefined when it could be anything
 */
function yamlHint(lines: readonly string[], line: number, reason: string): string | undefined {
  const text = (lines[line - 1] ?? '').slice(0, MAX_READ_CHARACTERS)
  const above = lines.slice(0, line - 1).findLast((each) => /^\s*[^\s#]/.test(each)) ?? ''
  const value = VALUE.exec(text)?.[1] ?? ''
  return CAUSES.find(([applies]) => applies({ text, value, above, reason }))?.[1]
}

function indentOf(text: string): number {
  return text.search(/\S|$/)
}

const SECRETS: ReadonlySet<string> = new Set(['auth', 'password', 'identityToken', 'token'])
/** What may be shown with its value. What is misspelt may be a password, so only these are. */
const SHOWN: ReadonlySet<string> = new Set(namesIn(ConfigFile).filter((each) => !SECRETS.has(each)))

/** `name:` with whatever may stand before it at the beginning of a line. */
const FIRST_NAME = /^[\s\-?{["']*([A-Za-z][\w.-]*)["']?\s*:/
const FURTHER_NAME = /([A-Za-z][\w.-]*)["']?\s*:(?=\s|$)/g
const SECRET_NAME = new RegExp(`\\b(?:${[...SECRETS].join('|')})["']?\\s*:`)
/** `user:password@` of an address, and of a proxy; a query. */
const USER = /[^\s"'/]+@|\?\S/
const COMMENT = /(?:^|\s)#/
const MAX_SHOWN = 100
/** Above a line without a name: a file may be a million of them. */
const MAX_LINES_ABOVE = 200

/**
 * A line of a file, and below it a caret under one of its columns. Values that are secret, or that
 * might be, are cut off with all that follows: a file that is not YAML may be a file of passwords.
 * Of an empty line nothing.
 *
 * @param line from 1
 * @param column from 1; beyond what is shown the caret stands at its end
 */
function excerpt(lines: readonly string[], line: number, column: number): readonly string[] {
  const text = textAt(lines, line)
  if (text === '') return []
  const cut = Math.min(shownLength(lines, line), MAX_SHOWN)
  const shown = cut < text.length ? `${text.slice(0, cut)}…` : text
  const caret = Math.min(Math.max(column - 1, 0), cut)
  // One sign for each, so that the caret stays where it belongs; an arrow is how editors show a tab.
  const visible = shown.replaceAll('\t', '→').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '·')
  return [visible, `${' '.repeat(caret)}^`]
}

function shownLength(lines: readonly string[], line: number): number {
  const text = textAt(lines, line)
  const ends = [text.length, secretAt(lines, line), COMMENT.exec(text)?.index]
  return Math.min(...ends.filter((end) => end !== undefined))
}

/** Where what is not shown begins; undefined: nowhere. */
function secretAt(lines: readonly string[], line: number): number | undefined {
  const text = textAt(lines, line)
  const first = FIRST_NAME.exec(text)
  if (first === null && !isPartOfShown(lines, line)) return text.search(/\S|$/)
  const secret = SECRET_NAME.exec(text)
  const unknown = [first, ...text.matchAll(FURTHER_NAME)].find(
    (match) => match !== null && !SHOWN.has(match[1] ?? '') && !SECRETS.has(match[1] ?? ''),
  )
  const ends = [
    secret && secret.index + secret[0].length,
    unknown && text.indexOf(unknown[1] ?? '', unknown.index),
    USER.exec(text)?.index,
  ]
  const found = ends.filter((end) => typeof end === 'number')
  return found.length === 0 ? undefined : Math.min(...found)
}

/** A line without a name: an item, or more of a value, of the name that stands above it. */
function isPartOfShown(lines: readonly string[], line: number): boolean {
  if (SHOWN.has(textAt(lines, line).trim())) return true
  const before = lines.slice(Math.max(0, line - 1 - MAX_LINES_ABOVE), line - 1)
  const above = before.findLast((each) => FIRST_NAME.test(each)) ?? ''
  return SHOWN.has(FIRST_NAME.exec(above)?.[1] ?? '') && !SECRET_NAME.test(above)
}

function textAt(lines: readonly string[], line: number): string {
  return (lines[line - 1] ?? '').slice(0, MAX_READ_CHARACTERS)
}

function namesIn(schema: Schema): readonly string[] {
  if (schema.type === 'array') return namesIn(schema.items)
  if (schema.type !== 'object') return []
  return Object.entries(schema.properties).flatMap(([name, field]) => [name, ...namesIn(field)])
}
