import { ConfigFile } from '../../api/v1/config.ts'
import type { Schema } from '../../api/v1/schema.ts'

const SECRETS: ReadonlySet<string> = new Set(['auth', 'password', 'identityToken', 'token'])
/** What may be shown with its value. What is misspelt may be a password, so only these are. */
const SHOWN: ReadonlySet<string> = new Set(namesIn(ConfigFile).filter((each) => !SECRETS.has(each)))

/** `name:` with whatever may stand before it at the beginning of a line. */
const FIRST_NAME = /^[\s\-?{["']*([A-Za-z][\w.-]*)["']?\s*:/
const FURTHER_NAME = /([A-Za-z][\w.-]*)["']?\s*:(?=\s|$)/g
const SECRET_NAME = new RegExp(`\\b(?:${[...SECRETS].join('|')})["']?\\s*:`)
/** `user:password@` of an address, and of a proxy. */
const USER = /[^\s"'/]+@/
const COMMENT = /(?:^|\s)#/
const MAX_SHOWN = 100
/** A file may be one line of a megabyte, or a million lines without a name. */
const MAX_READ_CHARACTERS = 1_000
const MAX_LINES_ABOVE = 200

/**
 * A line of a file, and below it a caret under one of its columns. Values that are secret, or that
 * might be, are cut off with all that follows: a file that is not YAML may be a file of passwords.
 * Of an empty line nothing.
 *
 * @param line from 1
 * @param column from 1; beyond what is shown the caret stands at its end
 */
export function excerpt(lines: readonly string[], line: number, column: number): readonly string[] {
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
