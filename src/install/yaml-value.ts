import { isDeepStrictEqual } from 'node:util'
import {
  CHOMPING_MODE,
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  loadAll,
  type MappingEvent,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
} from 'js-yaml'
import { YamlText } from '../workloads/yaml-node.ts'
import { firstDocument } from './yaml-fields.ts'

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
  try {
    const edits = editsFor(first, path, value)
    let edited = first
    for (const [from, to, written] of edits?.toReversed() ?? []) {
      edited = edited.slice(0, from) + written + edited.slice(to)
    }
    const isWhole = edits && isDeepStrictEqual(plain(edited), wanted(first, path, value))
    return isWhole ? edited + text.slice(first.length) : undefined
  } catch {
    // It is no YAML, or what is above the value is not there.
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

function editsFor(text: string, path: Path, value: string): readonly Edit[] | undefined {
  const events = parseEvents(text, {})
  // The first one begins the document.
  let at = 1
  let place: Place | undefined
  for (const name of path) {
    const parent = events[at]
    if (parent?.type !== EVENT_ID.MAPPING && parent?.type !== EVENT_ID.SEQUENCE) {
      if (textOf(text, parent) !== undefined) return undefined
      const gap = text === '' || text.endsWith('\n') ? '' : '\n'
      return [[text.length, text.length, `${gap}${name}: ${value}\n`]]
    }
    const members = membersOf(events, at)
    const isFlow = parent.style === COLLECTION_STYLE.FLOW
    if (parent.type === EVENT_ID.SEQUENCE) {
      at = members[Number(name)] ?? events.length
      place = { isFlow, key: undefined }
      continue
    }
    const index = members.findIndex((each, i) => i % 2 === 0 && textOf(text, events[each]) === name)
    const key = events[members[index] ?? events.length]
    if (key?.type !== EVENT_ID.SCALAR)
      return added(text, parent, members.length > 0, `${name}`, value)
    at = members[index + 1] ?? events.length
    place = { isFlow, key }
  }
  const event = events[at]
  return event && place && replaced(text, event, place, value)
}

interface Place {
  /** It is in `[…]` or `{…}`. */
  readonly isFlow: boolean
  /** undefined: it is an item of a list. */
  readonly key: ScalarEvent | undefined
}

/** Where the items of a list begin, or the keys and values of a mapping by turns. */
function membersOf(events: readonly Event[], collection: number): readonly number[] {
  const members: number[] = []
  let depth = 0
  for (let at = collection + 1; depth >= 0 && at < events.length; at += 1) {
    const { type } = events[at] as Event
    if (depth === 0 && type !== EVENT_ID.POP) members.push(at)
    if (type === EVENT_ID.MAPPING || type === EVENT_ID.SEQUENCE) depth += 1
    if (type === EVENT_ID.POP) depth -= 1
  }
  return members
}

function textOf(text: string, event: Event | undefined): string | undefined {
  return event?.type === EVENT_ID.SCALAR ? new YamlText(text, event, 0).value : undefined
}

function replaced(
  text: string,
  event: Event,
  { isFlow, key }: Place,
  value: string,
): readonly Edit[] | undefined {
  const quoted = isFlow ? `"${value}"` : value
  if (event.type === EVENT_ID.ALIAS) return [[event.anchorStart - 1, event.anchorEnd, quoted]]
  if (event.type !== EVENT_ID.SCALAR) return undefined
  const { anchorEnd, chomping, style, tagEnd, valueEnd, valueStart } = event
  if (valueStart < 0) {
    if (key === undefined) return undefined
    const colon = /(?:\s|#.*[\r\n])*:/y
    colon.lastIndex = new YamlText(text, key, 0).end
    const { lastIndex: end } = colon
    if (!colon.test(text)) return [[end, end, `: ${quoted}`]]
    const place = Math.max(colon.lastIndex, anchorEnd, tagEnd)
    return [[place, place, ` ${quoted}`]]
  }
  const node = new YamlText(text, event, 0)
  if (style !== SCALAR_STYLE.LITERAL_BLOCK && style !== SCALAR_STYLE.FOLDED_BLOCK) {
    const { quote } = node
    return [[node.start, node.end, quote === '' ? quoted : `${quote}${value}${quote}`]]
  }
  // A comment behind its sign stays, and so do empty lines that are none of its own.
  const [sign = ''] = /^[|>][-+\d]*/.exec(text.slice(node.start)) ?? []
  const body = text.slice(valueStart, valueEnd)
  const own = chomping === CHOMPING_MODE.KEEP ? body : body.replace(/(?<=\n)(?:[ \t]*\r?\n)+$/, '')
  return [
    [node.start, node.start + sign.length, value],
    [valueStart, valueStart + own.length, ''],
  ]
}

function added(
  text: string,
  { start, style }: MappingEvent,
  hasFields: boolean,
  name: string,
  value: string,
): readonly Edit[] {
  if (style === COLLECTION_STYLE.FLOW) {
    return [[start + 1, start + 1, `"${name}":"${value}"${hasFields ? ',' : ''}`]]
  }
  const first = text.lastIndexOf('\n', start - 1) + 1
  const [indent = ''] = /^ */.exec(text.slice(first)) ?? []
  const line = `${indent}${name}: ${value}${text.includes('\r\n') ? '\r\n' : '\n'}`
  // A last value without an end of line would get one.
  const at = text.endsWith('\n') ? text.length : first
  return [[at, at, line]]
}
