import { ConfigFile } from '../../api/v1/config.ts'
import type { Schema } from '../../api/v1/schema.ts'
import { isEmpty, type YamlNode } from '../yaml/node.ts'
import { YamlError } from '../yaml/parts.ts'
import { readYaml } from '../yaml/read.ts'
import { SourceText } from '../yaml/source-text.ts'
import { type ConfigProblem, joinPath, MAX_PROBLEMS } from './diagnostics.ts'

const LIMITS = { maxDepth: 100, maxMerged: 10_000, maxAliased: 100_000 } as const

interface YamlDocument {
  /** Absent: the text holds nothing but comments. */
  readonly root?: YamlNode
  readonly problems: readonly ConfigProblem[]
}

/**
 * Reads one YAML document. Never throws: what is not YAML, a field written twice, a second document and tags come back
 * as problems.
 */
export function parseYaml(text: string): YamlDocument {
  const source = new SourceText(text)
  const problems: ConfigProblem[] = []
  const note = (at: number, message: string, path = ''): void => {
    // A megabyte may hold very many.
    const place = problems.length < MAX_PROBLEMS ? shown(source, at) : source.at(at)
    problems.push({ ...place, path, message })
  }
  try {
    const documents = readYaml(source, {
      ...LIMITS,
      note: ({ at, message, path }) => note(at, message, path.reduce<string>(joinPath, '')),
    })
    const [root, second] = [...documents].filter((each) => !isEmpty(each))
    if (second !== undefined) {
      note(second.start, 'a second YAML document; one file holds one configuration')
    }
    return { ...(root === undefined ? {} : { root }), problems }
  } catch (thrown) {
    if (!(thrown instanceof YamlError)) throw thrown
    return {
      problems: [{ ...shown(source, thrown.at), path: '', message: whyNot(source, thrown) }],
    }
  }
}

/** What keeps a text from being YAML, with the likely cause; nothing else of the file. */
function whyNot(source: SourceText, { at, message }: YamlError): string {
  // Some reasons end in a piece of the file, which may be a piece of a password.
  const reason = message.replace(/(?:: | ").*$/s, '')
  const hint = yamlHint(source, source.lineAt(at), reason)
  return `not valid YAML: ${reason}${hint === undefined ? '' : `; ${hint}`}`
}

/** A line may be a megabyte. */
const MAX_READ_CHARACTERS = 1_000
/** Above a line: a file may be a million of them. */
const MAX_LINES_ABOVE = 200

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
function yamlHint(source: SourceText, line: number, reason: string): string | undefined {
  const text = textAt(source, line)
  const above = lineAbove(source, line, /^\s*[^\s#]/)
  const value = VALUE.exec(text)?.[1] ?? ''
  return CAUSES.find(([applies]) => applies({ text, value, above, reason }))?.[1]
}

function indentOf(text: string): number {
  return text.search(/\S|$/)
}

const SECRETS: ReadonlySet<string> = new Set(
  namesIn(ConfigFile, (field) => 'writeOnly' in field && field.format !== 'proxy'),
)
/** What may be shown with its value. What is misspelt may be a password, so only these are. */
const SHOWN: ReadonlySet<string> = new Set(
  namesIn(ConfigFile, () => true).filter((each) => !SECRETS.has(each)),
)

/** `name:` with whatever may stand before it at the beginning of a line. */
const FIRST_NAME = /^[\s\-?{["']*([A-Za-z][\w.-]*)["']?\s*:/
const FURTHER_NAME = /([A-Za-z][\w.-]*)["']?\s*:(?=\s|$)/g
const SECRET_NAME = new RegExp(`\\b(?:${[...SECRETS].join('|')})["']?\\s*:`)
/** `user:password@` of an address, and of a proxy; a query. */
const USER = /[^\s"'/]+@|\?\S/
const COMMENT = /(?:^|\s)#/
const MAX_SHOWN = 100
/** Where something stands, both from 1, and the line itself with a caret below it. */
function shown(
  source: SourceText,
  offset: number,
): Required<Pick<ConfigProblem, 'line' | 'column' | 'excerpt'>> {
  const { line, column } = source.at(offset)
  return { line, column, excerpt: excerpt(source, line, column) }
}

/**
 * A line of a file, and below it a caret under one of its columns. Values that are secret, or that
 * might be, are cut off with all that follows: a file that is not YAML may be a file of passwords.
 * Of an empty line nothing.
 *
 * @param line from 1
 * @param column from 1; beyond what is shown the caret stands at its end
 */
function excerpt(source: SourceText, line: number, column: number): readonly string[] {
  const text = textAt(source, line)
  if (text === '') return []
  const cut = Math.min(shownLength(source, line), MAX_SHOWN)
  const visibleText = cut < text.length ? `${text.slice(0, cut)}…` : text
  const caret = Math.min(Math.max(column - 1, 0), cut)
  // One sign for each, so that the caret stays where it belongs; an arrow is how editors show a tab.
  const visible = visibleText.replaceAll('\t', '→').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '·')
  return [visible, `${' '.repeat(caret)}^`]
}

function shownLength(source: SourceText, line: number): number {
  const text = textAt(source, line)
  const ends = [text.length, secretAt(source, line), COMMENT.exec(text)?.index]
  return Math.min(...ends.filter((end) => end !== undefined))
}

/** Where what is not shown begins; undefined: nowhere. */
function secretAt(source: SourceText, line: number): number | undefined {
  const text = textAt(source, line)
  const first = FIRST_NAME.exec(text)
  if (first === null && !isPartOfShown(source, line)) return text.search(/\S|$/)
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
function isPartOfShown(source: SourceText, line: number): boolean {
  if (SHOWN.has(textAt(source, line).trim())) return true
  const above = lineAbove(source, line, FIRST_NAME)
  return SHOWN.has(FIRST_NAME.exec(above)?.[1] ?? '') && !SECRET_NAME.test(above)
}

function textAt(source: SourceText, line: number): string {
  return source.line(line).slice(0, MAX_READ_CHARACTERS)
}

/** The nearest line above that has the pattern; empty where there is none near. */
function lineAbove(source: SourceText, line: number, pattern: RegExp): string {
  for (let above = line - 1; above > Math.max(0, line - 1 - MAX_LINES_ABOVE); above -= 1) {
    const text = source.line(above)
    if (pattern.test(text)) return text
  }
  return ''
}

function namesIn(schema: Schema, isMeant: (field: Schema) => boolean): readonly string[] {
  if (schema.type === 'array') return namesIn(schema.items, isMeant)
  if (schema.type !== 'object') return []
  return Object.entries(schema.properties).flatMap(([name, field]) => [
    ...(isMeant(field) ? [name] : []),
    ...namesIn(field, isMeant),
  ])
}
