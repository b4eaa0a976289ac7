import { ConfigFile } from '../../api/v1/config.ts'
import type { RegistryFields } from '../../api/v1/config-registry.ts'
import type { Decoded, Filled, ListSchema, ObjectSchema, Schema } from '../../api/v1/schema.ts'
import { fieldsOf } from '../json.ts'
import { quote } from '../reference/quote.ts'
import { isEmpty, type YamlField, type YamlNode } from '../yaml/node.ts'
import { type Diagnostics, joinPath, nearestName } from './diagnostics.ts'
import { readText } from './formats.ts'

export type DecodedConfig = Decoded<typeof ConfigFile>
export type DecodedRegistry = Decoded<typeof RegistryFields>

const ANY_TEXT = 'text'

type ScalarSchema = Exclude<Schema, ListSchema | ObjectSchema>

/**
 * Fields of older image-cri-shim versions. Present ones pass over them in silence, so files still
 * carry them and work.
 */
const RETIRED: ReadonlyMap<string, string> = new Map([
  ['registry.d', 'move the entries of its files under registries'],
  ['sync', 'the file is read again every reloadInterval'],
])

/** YAML 1.1 spellings, which image-cri-shim's parser takes. */
const TRUE = /^(?:y|yes|true|on)$/i
const FALSE = /^(?:n|no|false|off)$/i
/** Those of YAML 1.2's core schema: what another parser would not take for text. */
const NUMBER =
  /^(?:[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|0o[0-7]+|0x[\da-f]+|[-+]?\.inf|\.nan)$/i
const YES_OR_NO = /^(?:true|false)$/i

/** Reads a file's tree by a schema, each text as its format is read; what does not fit is noted in `diagnostics`. */
export function decode<S>(
  schema: S & ObjectSchema,
  root: YamlNode | undefined,
  diagnostics: Diagnostics,
): Decoded<S> {
  // The walk leaves out whatever the schema refuses, and nothing else.
  return ((root && read(schema, root, '', diagnostics)) ?? {}) as Decoded<S>
}

/** What is written, in full: with the defaults of what is not. */
export function filled<S>(schema: S & ObjectSchema, decoded: object): Filled<S> {
  const given = fieldsOf(decoded)
  const fields = Object.entries<Schema>(schema.properties).map(([name, field]) => {
    const key = filledName(name, field)
    return [key, filledValue(field, given[key])]
  })
  return Object.fromEntries(fields) as Filled<S>
}

function filledValue(schema: Schema, value: unknown): unknown {
  if (schema.type === 'object') {
    return value === undefined && schema.optional ? undefined : filled(schema, fieldsOf(value))
  }
  if (schema.type === 'array') return value ?? []
  const isGiven = value !== undefined && !(value === 0 && 'zeroIsDefault' in schema)
  if (isGiven || !('default' in schema)) return value
  const { default: fallback } = schema
  return typeof fallback === 'string' ? readText(schema, fallback) : fallback
}

/** What a field is called where its text has been read. */
export function filledName(name: string, schema: Schema): string {
  return 'format' in schema && schema.format === 'duration' ? `${name}Ms` : name
}

function read(schema: Schema, node: YamlNode, path: string, diagnostics: Diagnostics): unknown {
  diagnostics.place(path, node.line)
  if (schema.type === 'object') return readMap(schema, node, path, diagnostics)
  if (schema.type === 'array') return readList(schema, node, path, diagnostics)
  const value = node.kind === 'text' ? readScalar(schema, node.text, node.quoted) : undefined
  if (value === undefined) {
    diagnostics.problem(path, `expected ${expectation(schema)}, got ${shown(node, schema)}`)
  }
  if (typeof value !== 'string') return value
  return diagnostics.parse(path, value, (text) => readText(schema, text))
}

function readMap(
  schema: ObjectSchema,
  node: YamlNode,
  path: string,
  diagnostics: Diagnostics,
): object | undefined {
  const fields = entriesOf(schema, node)
  if (fields === undefined) {
    const how = node.kind === 'text' ? '; write `name: value`, with a space after the colon' : ''
    diagnostics.problem(path, `expected fields with values, got ${kindOf(node)}${how}`)
    return undefined
  }
  const present = new Set<string>()
  const values = new Map<string, unknown>()
  for (const [key, { line, value }] of fields) {
    const field = joinPath(path, key)
    diagnostics.place(field, line)
    const fieldSchema = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
    if (fieldSchema === undefined) {
      // In files of other programs there is more than what is read here.
      if (schema.additionalProperties === false) noteUnknown(schema, path, key, diagnostics)
    } else if (!isAbsent(value)) {
      present.add(key)
      values.set(filledName(key, fieldSchema), read(fieldSchema, value, field, diagnostics))
    }
  }
  for (const name of schema.required ?? []) {
    if (!present.has(name))
      diagnostics.problem(joinPath(path, name), 'required, and not there', path)
  }
  return Object.fromEntries(values)
}

/** @returns undefined: it has none */
function entriesOf(
  { shorthand }: ObjectSchema,
  node: YamlNode,
): Iterable<readonly [string, Pick<YamlField, 'line' | 'value'>]> | undefined {
  if (node.kind === 'map') return node.fields
  const { line } = node
  return node.kind === 'text' && shorthand !== undefined
    ? [[shorthand, { line, value: node }]]
    : undefined
}

function readList(
  schema: ListSchema,
  node: YamlNode,
  path: string,
  diagnostics: Diagnostics,
): unknown {
  if (node.kind !== 'list') {
    diagnostics.problem(path, `expected a list, got ${kindOf(node)}`)
    return undefined
  }
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
  if (node.items.length > maxItems) {
    diagnostics.problem(path, `${node.items.length} entries, at most ${maxItems} are allowed`)
    return undefined
  }
  if (node.items.length < minItems) {
    diagnostics.problem(
      path,
      'an empty list serves nothing; write what it is for, or leave the field out',
    )
    return undefined
  }
  const items = node.items.map((item, index) =>
    read(schema.items, item, joinPath(path, index), diagnostics),
  )
  if (schema.items.type === 'object') return items
  return [...new Set(items.filter((item) => item !== undefined))]
}

/** Templates of existing files render a value that is not set as nothing, or as `""`. */
function isAbsent(node: YamlNode): boolean {
  return isEmpty(node) || (node.kind === 'text' && node.text === '')
}

/** A scalar as the type that its field has; undefined when it does not fit. Quoted text is text. */
function readScalar(schema: ScalarSchema, text: string, quoted: boolean): unknown {
  switch (schema.type) {
    case 'boolean':
      return quoted ? undefined : readBoolean(text)
    case 'integer':
    case 'number': {
      const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = schema
      const value = !quoted && /^[-+]?\d+$/.test(text) ? Number(text) : Number.NaN
      const isInside = value >= minimum && value <= maximum
      return Number.isFinite(value) && isInside ? value : undefined
    }
    default: {
      const isText =
        quoted || ('orNumber' in schema && schema.orNumber) || kindOfPlain(text) === undefined
      return (wordsOf(schema)?.includes(text) ?? isText) ? text : undefined
    }
  }
}

/** What an unquoted text is to YAML; undefined: text. */
function kindOfPlain(text: string): string | undefined {
  if (NUMBER.test(text)) return 'a number'
  return YES_OR_NO.test(text) ? 'true or false' : undefined
}

/** The only words that a text may be; undefined: any text. */
function wordsOf(schema: ScalarSchema): readonly string[] | undefined {
  return 'enum' in schema ? schema.enum : undefined
}

function readBoolean(text: string): boolean | undefined {
  return TRUE.test(text) ? true : FALSE.test(text) ? false : undefined
}

function noteUnknown(
  schema: ObjectSchema,
  path: string,
  key: string,
  diagnostics: Diagnostics,
): void {
  const field = joinPath(path, key)
  const retired = path === '' ? RETIRED.get(key) : undefined
  if (retired !== undefined) {
    diagnostics.warning(field, `not read any more, by image-cri-shim either: ${retired}`)
    return
  }
  diagnostics.problem(
    field,
    diagnostics.isFull ? 'unknown field' : `unknown field; ${hint(schema, key)}`,
  )
}

function hint(schema: ObjectSchema, key: string): string {
  const siblings = Object.keys(schema.properties)
  const meant = nearestName(key, siblings) ?? deeper(key)
  return meant === undefined
    ? `the fields here are ${siblings.join(', ')}`
    : `did you mean ${meant}?`
}

/** The full path of a field that belongs one level deeper: `listen` is `http.listen`. */
function deeper(key: string): string | undefined {
  const fields: Readonly<Record<string, Schema>> = ConfigFile.properties
  for (const [parent, schema] of Object.entries(fields)) {
    if (schema.type === 'object' && Object.hasOwn(schema.properties, key)) return `${parent}.${key}`
  }
  return Object.hasOwn(fields, key) ? `${key} at the top level` : undefined
}

function expectation(schema: ScalarSchema): string {
  switch (schema.type) {
    case 'boolean':
      return 'true or false'
    case 'integer':
    case 'number':
      return ['a whole number', rangeOf(schema)].join('')
    default:
      return wordsOf(schema)?.join(' or ') ?? ANY_TEXT
  }
}

function rangeOf({
  minimum,
  maximum,
}: {
  readonly minimum?: number
  readonly maximum?: number
}): string {
  if (maximum === undefined) return ''
  return minimum === undefined ? ` up to ${maximum}` : ` from ${minimum} to ${maximum}`
}

function shown(node: YamlNode, schema: ScalarSchema): string {
  if (node.kind !== 'text') return kindOf(node)
  if (expectation(schema) !== ANY_TEXT) {
    return node.quoted ? `the text ${quote(node.text)}` : quote(node.text)
  }
  // It may be a secret.
  return `${kindOfPlain(node.text)}; if it is meant as it is written, put it in quotes`
}

/** Where fields belong, a text is often an address with a password in it, which no log should see. */
function kindOf({ kind }: YamlNode): string {
  if (kind === 'text') return 'text'
  return kind === 'list' ? 'a list' : 'fields'
}
