import { isDeepStrictEqual } from 'node:util'
import { loadAll } from 'js-yaml'
import { parseYaml } from '../config/yaml.ts'
import { ResolveError } from '../errors.ts'
import {
  placeOf,
  scalarOf,
  type YamlField,
  type YamlMap,
  type YamlNode,
  type YamlText,
} from '../yaml/node.ts'
import type { Root } from './root.ts'

export interface FileOfFields {
  readonly file: string
  readonly fields: ReadonlyMap<string, YamlField>
}

/** @throws ResolveError CONFIG_INVALID for what is no mapping, and for what is not used in such a file */
export function readFields(root: Root, file: string): FileOfFields {
  const { root: node, problems } = parseYaml(firstDocument(root.text(file) ?? ''))
  const [problem] = problems
  if (problem !== undefined) {
    throw new ResolveError('CONFIG_INVALID', `${file}:${problem.line}: ${problem.message}`)
  }
  if (node !== undefined && node.kind !== 'map') {
    throw new ResolveError('CONFIG_INVALID', `${file}:${node.line}: it is no mapping`)
  }
  return { file, fields: node?.fields ?? new Map() }
}

/** YAML without what is below its first document, which kubelet and k3s do not read. */
function firstDocument(text: string): string {
  let hasContent = false
  for (const { 0: line, index } of text.matchAll(/^.*$/gm)) {
    const isMarker = /^(?:---|\.\.\.)(?:\s|$)/.test(line)
    if (isMarker && hasContent) return text.slice(0, index)
    hasContent ||= isMarker ? /^---\s+[^\s#]/.test(line) : /^\s*[^\s#%]/.test(line)
  }
  return text
}

type Path = readonly (string | number)[]
/** Several times that is read for one value; no file of a kubelet is near this. */
const MAX_LENGTH = 64 * 1024
type Edit = readonly [from: number, to: number, text: string]

/**
 * Gives a value in the first document of a YAML or JSON text another text; a field that is not there is added.
 * Nothing else changes: comments, order, quotes and line ends stay.
 *
 * @param path of the value; what is above it is there
 * @param value plain: without blanks, quotes and what YAML takes for something else
 * @returns undefined where that cannot be: a list or mapping in its place, a value that others stand for, more than
 * 64 KiB
 */
export function withValue(text: string, path: Path, value: string): string | undefined {
  if (text.startsWith('\uFEFF')) {
    const edited = withValue(text.slice(1), path, value)
    return edited === undefined ? undefined : `\uFEFF${edited}`
  }
  const first = firstDocument(text)
  if (isLarge(first)) return undefined
  const { problems, root } = parseYaml(first)
  const edits = problems.length > 0 ? undefined : editsFor(first, root, path, value)
  if (edits === undefined) return undefined
  let edited = first
  for (const [from, to, written] of edits.toReversed()) {
    edited = edited.slice(0, from) + written + edited.slice(to)
  }
  try {
    const isWhole = isDeepStrictEqual(plain(edited), wanted(first, path, value))
    return isWhole ? edited + text.slice(first.length) : undefined
  } catch {
    // What it would be is no YAML.
    return undefined
  }
}

/** Whether the first document of a text is larger than what is edited, 64 KiB. */
export function isLarge(text: string): boolean {
  return firstDocument(text).length > MAX_LENGTH
}

/** What is in it twice by aliases is there twice. Their number is bounded where the file was read first. */
function plain(text: string): unknown {
  return JSON.parse(JSON.stringify(loadAll(text)[0] ?? null))
}

function wanted(text: string, path: Path, value: string): unknown {
  const whole = plain(text) ?? {}
  let at = whole as Record<string | number, unknown>
  for (const name of path.slice(0, -1)) at = at[name] as Record<string | number, unknown>
  at[path.at(-1) ?? ''] = value
  return whole
}

function editsFor(
  text: string,
  root: YamlNode | undefined,
  path: Path,
  value: string,
): readonly Edit[] | undefined {
  let node = root
  let field: YamlField | undefined
  let isFlow = false
  for (const name of path) {
    if (node === undefined || node.kind === 'text') {
      if (scalarOf(node) !== undefined) return undefined
      const gap = text === '' || text.endsWith('\n') ? '' : '\n'
      return [[text.length, text.length, `${gap}${name}: ${value}\n`]]
    }
    isFlow = node.isFlow
    if (node.kind === 'list') {
      field = undefined
      node = node.items[Number(name)]
      continue
    }
    field = node.fields.get(`${name}`)
    if (field === undefined || field.isMerged) return [added(text, node, `${name}`, value)]
    node = field.value
  }
  return node?.kind === 'text' ? replaced(text, node, isFlow, field?.key, value) : undefined
}

/** @param key undefined: it is an item of a list */
function replaced(
  text: string,
  node: YamlText,
  isFlow: boolean,
  key: YamlText | undefined,
  value: string,
): readonly Edit[] | undefined {
  const written = isFlow ? `"${value}"` : value
  const { start, end } = placeOf(node)
  if (start < 0) {
    if (key === undefined) return undefined
    const { end: place } = placeOf(key)
    return [[place, place, `: ${written}`]]
  }
  if (start === end) return [[start, start, ` ${written}`]]
  const [sign] = /^[|>][-+\d]*/.exec(text.slice(start)) ?? []
  if (sign === undefined) {
    const quote = node.alias === undefined ? node.quote : ''
    return [[start, end, quote === '' ? written : `${quote}${value}${quote}`]]
  }
  // A comment behind its sign stays, and so do empty lines that are none of its own.
  const content = Math.min(end, text.indexOf('\n', start) + 1 || end)
  const body = text.slice(content, end)
  const own = sign.includes('+') ? body : body.replace(/(?<=\n)(?:[ \t]*\r?\n)+$/, '')
  return [
    [start, start + sign.length, value],
    [content, content + own.length, ''],
  ]
}

function added(
  text: string,
  { fields, isFlow, start }: YamlMap,
  name: string,
  value: string,
): Edit {
  if (isFlow) {
    return [start + 1, start + 1, `"${name}":"${value}"${fields.size > 0 ? ',' : ''}`]
  }
  const first = text.lastIndexOf('\n', start - 1) + 1
  const [indent = ''] = /^ */.exec(text.slice(first)) ?? []
  const line = `${indent}${name}: ${value}${text.includes('\r\n') ? '\r\n' : '\n'}`
  // A last value without an end of line would get one.
  const at = text.endsWith('\n') ? text.length : first
  return [at, at, line]
}
