import { isDeepStrictEqual } from 'node:util'
import {
  type CST,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import { firstDocument } from './kubelet.ts'

type Path = readonly (string | number)[]
/** The tree of a megabyte takes more memory than a command has; no file of a kubelet is near this. */
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
  const first = firstDocument(text)
  if (first.length > MAX_LENGTH) return undefined
  const document = read(first)
  const edits = document.errors.length === 0 ? editsFor(document, first, path, value) : undefined
  if (edits === undefined) return undefined
  let edited = first
  for (const [from, to, written] of edits.toReversed()) {
    edited = edited.slice(0, from) + written + edited.slice(to)
  }
  const after = read(edited)
  const isWhole =
    after.errors.length === 0 && isDeepStrictEqual(plain(after), wanted(document, path, value))
  return isWhole ? edited + text.slice(first.length) : undefined
}

function read(text: string): Document.Parsed {
  return parseDocument(text, {
    keepSourceTokens: true,
    logLevel: 'silent',
    merge: true,
    prettyErrors: false,
    // Looked at where the file was read first, and in less than the square of their number.
    uniqueKeys: false,
  })
}

/** What is in it twice by aliases is there twice. Their number is bounded where the file was read first. */
function plain(document: Document.Parsed): unknown {
  return JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: -1 })))
}

function wanted(document: Document.Parsed, path: Path, value: string): unknown {
  const whole = plain(document) ?? {}
  let at = whole as Record<string | number, unknown>
  for (const name of path.slice(0, -1)) at = at[name] as Record<string | number, unknown>
  at[path.at(-1) ?? ''] = value
  return whole
}

function editsFor(
  document: Document.Parsed,
  text: string,
  path: Path,
  value: string,
): readonly Edit[] | undefined {
  const above = path.slice(0, -1)
  const parent = above.length === 0 ? document.contents : document.getIn(above, true)
  const name = path.at(-1)
  if (parent === null) return [[text.length, text.length, `${gapAfter(text)}${name}: ${value}\n`]]
  if (isSeq(parent)) return replaced(parent.items[Number(name)], value, parent.flow === true)
  if (!isMap(parent)) return undefined
  const pair = parent.items.find(({ key }) => isScalar(key) && key.value === name)
  if (pair === undefined) return added(parent, text, `${name}`, value)
  const node = pair.value
  const isNothing = node === null || (isScalar(node) && node.range?.[0] === node.range?.[1])
  if (!isNothing) return replaced(node, value, parent.flow === true)
  const written = parent.flow === true ? JSON.stringify(value) : value
  const colon = pair.srcToken?.sep?.find(({ type }) => type === 'map-value-ind')
  if (colon !== undefined) return [[colon.offset + 1, colon.offset + 1, ` ${written}`]]
  const end = isScalar(pair.key) ? (pair.key.range?.[1] ?? 0) : 0
  return [[end, end, `: ${written}`]]
}

function replaced(node: unknown, value: string, isFlow: boolean): readonly Edit[] | undefined {
  if (isCollection(node) || !(isScalar(node) || isAlias(node))) return undefined
  const token = node.srcToken
  if (token?.type === 'block-scalar') return insteadOfBlock(token, value)
  const [from, to] = node.range ?? [0, 0]
  const mark = token?.type === 'single-quoted-scalar' ? "'" : '"'
  const isQuoted = isFlow || token?.type.endsWith('quoted-scalar')
  return [[from, to, isQuoted ? `${mark}${value}${mark}` : value]]
}

/** A comment behind its `|` stays. */
function insteadOfBlock({ props, source }: CST.BlockScalar, value: string): readonly Edit[] {
  const header = props.find(({ type }) => type === 'block-scalar-header')
  const last = props.at(-1)
  if (header === undefined || last === undefined || !('source' in header && 'source' in last)) {
    return []
  }
  const body = last.offset + last.source.length
  return [
    [header.offset, header.offset + header.source.length, value],
    [body, body + source.length, ''],
  ]
}

function added(map: YAMLMap, text: string, name: string, value: string): readonly Edit[] {
  if (map.flow === true) {
    const open = (map.range?.[0] ?? 0) + 1
    return [[open, open, `"${name}":"${value}"${map.items.length > 0 ? ',' : ''}`]]
  }
  const [first] = map.items
  const key = isScalar(first?.key) ? (first.key.range?.[0] ?? 0) : 0
  const start = text.lastIndexOf('\n', key - 1) + 1
  const [indent = ''] = /^ */.exec(text.slice(start)) ?? []
  const line = `${indent}${name}: ${value}${text.includes('\r\n') ? '\r\n' : '\n'}`
  // A last value without an end of line would get one.
  const at = text.endsWith('\n') ? text.length : start
  return [[at, at, line]]
}

function gapAfter(text: string): string {
  return text === '' || text.endsWith('\n') ? '' : '\n'
}
