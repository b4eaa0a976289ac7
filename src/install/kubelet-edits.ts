import { isMap, isScalar, isSeq, parseDocument, type YAMLMap } from 'yaml'
import { ResolveError } from '../errors.ts'

/**
 * Gives a field of a YAML or JSON file a value. Nothing else changes: comments, order and quotes stay.
 *
 * @param file its name, for messages
 * @throws ResolveError CONFIG_INVALID for what is no single mapping
 */
export function withField(text: string, field: string, value: string, file: string): string {
  const map = readMapping(text, file)
  const pair = map?.items.find(({ key }) => isScalar(key) && key.value === field)
  if (pair !== undefined) {
    const range = isScalar(pair.value) ? pair.value.range : undefined
    if (range === undefined || range === null) {
      throw new ResolveError('CONFIG_INVALID', `${file}: ${field} is no text; set it by hand`)
    }
    const [start, end] = range
    // `field:` without a value.
    const gap = start === end && !/\s$/.test(text.slice(0, start)) ? ' ' : ''
    return `${text.slice(0, start)}${gap}${quoted(text[start], value)}${text.slice(end)}`
  }
  if (map?.flow === true) {
    const open = (map.range?.[0] ?? 0) + 1
    const comma = map.items.length > 0 ? ',' : ''
    return `${text.slice(0, open)}"${field}":"${value}"${comma}${text.slice(open)}`
  }
  const marker = text.search(/^\.\.\.[ \t]*$/m)
  const end = marker < 0 ? text.length : marker
  return `${ended(text.slice(0, end))}${field}: ${value}\n${text.slice(end)}`
}

function quoted(mark: string | undefined, value: string): string {
  return mark === '"' || mark === "'" ? `${mark}${value}${mark}` : value
}

/** @returns undefined where it is not set */
export function fieldOf(text: string, field: string, file: string): string | undefined {
  const value = readMapping(text, file)?.get(field)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The items of a list, or the one text in its place. */
export function itemsOf(text: string, field: string, file: string): readonly string[] | undefined {
  const value: unknown = readMapping(text, file)?.get(field, true)
  if (isScalar(value)) return [String(value.value)]
  if (!isSeq(value)) return undefined
  return value.items.map((item) => String(isScalar(item) ? item.value : item))
}

function readMapping(text: string, file: string): YAMLMap | undefined {
  const document = parseDocument(text, { logLevel: 'silent', prettyErrors: false })
  const [mistake] = document.errors
  if (mistake !== undefined) {
    throw new ResolveError('CONFIG_INVALID', `${file} is no YAML: ${mistake.message}`)
  }
  const { contents } = document
  if (contents === null) return undefined
  if (!isMap(contents)) throw new ResolveError('CONFIG_INVALID', `${file} is no mapping`)
  return contents
}

/**
 * Gives a flag another value wherever it has this one, in a unit, a file of its environment or a list of
 * arguments; comments stay as they are.
 */
export function withFlag(text: string, flag: string, before: string, value: string): string {
  const written = new RegExp(`(${flag}(?:=|\\s+)["']?)${escaped(before)}(?![\\w./-])`, 'g')
  return text
    .split('\n')
    .map((line) => (/^\s*[#;]/.test(line) ? line : line.replace(written, `$1${value}`)))
    .join('\n')
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** Adds an argument to a variable of an environment file (systemd.exec(5)), which is made where it is not there. */
export function withArgument(text: string, variable: string, argument: string): string {
  const lines = text.split('\n')
  const at = lines.findLastIndex((line) => line.trimStart().startsWith(`${variable}=`))
  const line = lines[at]
  if (line === undefined) return `${ended(text)}${variable}=${argument}\n`
  const [, head = '', mark = '', value = '', tail = ''] =
    /^(\s*\w+=)(["']?)(.*?)(\2\s*)$/.exec(line) ?? []
  const more = value.trim() === '' ? argument : `${value.trimEnd()} ${argument}`
  lines[at] = `${head}${mark}${more}${tail}`
  return lines.join('\n')
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
