import type { Filled, ObjectSchema, Schema, TextFormat, TextSchema } from '../../api/v1/schema.ts'
import { type Fields, fieldsOf } from '../json.ts'
import { quote } from '../reference/quote.ts'
import { type Diagnostics, joinPath, refusal } from './diagnostics.ts'
import {
  parseAbsolutePath,
  parseListen,
  parseProxy,
  parseRealm,
  parseSecretPath,
  parseSocketPath,
  parseToken,
  parseUpstream,
  within,
} from './values.ts'

/** What `fields` says in full, each text as its format is read; mistakes go to `diagnostics`. */
export function fill<S>(
  schema: S & ObjectSchema,
  fields: object,
  diagnostics: Diagnostics,
  path = '',
): Filled<S> {
  const given: Fields = fieldsOf(fields)
  const filled = Object.entries<Schema>(schema.properties).map(([name, field]) => [
    filledName(name, field),
    fillValue(field, given[name], joinPath(path, name), diagnostics),
  ])
  return Object.fromEntries(filled) as Filled<S>
}

/** How the filled fields call a field. */
export function filledName(name: string, schema: Schema): string {
  return 'format' in schema && schema.format === 'duration' ? `${name}Ms` : name
}

function fillValue(
  schema: Schema,
  value: unknown,
  path: string,
  diagnostics: Diagnostics,
): unknown {
  if (schema.type === 'object') {
    const isAbsent = value === undefined && schema.optional
    return isAbsent ? undefined : fill(schema, fieldsOf(value), diagnostics, path)
  }
  if (schema.type === 'array') {
    const items: readonly unknown[] = Array.isArray(value) ? value : []
    if (schema.items.type === 'object') return items
    const filled = items.flatMap(
      (item, index) => fillValue(schema.items, item, joinPath(path, index), diagnostics) ?? [],
    )
    return [...new Set(filled)]
  }
  const given = typeof value === 'string' ? read(schema, value, path, diagnostics) : value
  const isGiven = given !== undefined && !(given === 0 && 'zeroIsDefault' in schema)
  if (isGiven || !('default' in schema)) return given
  const fallback = schema.default
  return typeof fallback === 'string' ? read(schema, fallback, path, diagnostics) : fallback
}

function read(schema: Schema, text: string, path: string, diagnostics: Diagnostics): unknown {
  const { format, range } = schema as TextSchema
  const reader = range === undefined ? format && READERS[format] : within(range)
  return reader === undefined ? text : diagnostics.parse<number | string>(path, text, reader)
}

const READERS: Readonly<Partial<Record<TextFormat, (text: string) => string>>> = {
  socket: parseSocketPath,
  path: parseAbsolutePath,
  file: parseAbsolutePath,
  folder: parseAbsolutePath,
  secretFile: parseSecretPath,
  fileUrl: parseFileUrl,
  upstream: parseUpstream,
  realm: parseRealm,
  proxy: parseProxy,
  token: parseToken,
  listen: (text) => {
    parseListen(text)
    return text
  },
  configMapName: (text) => {
    if (CONFIG_MAP.test(text)) return text
    throw refusal(`${quote(text)} is not NAMESPACE/NAME, as in kube-system/image-cri-shim`)
  },
  configMapKey: (text) => {
    if (KEY.test(text)) return text
    throw refusal(`${quote(text)} is no key of a ConfigMap, as registries.yaml is`)
  },
}

/** DNS names, as Kubernetes has them for namespaces and ConfigMaps, and a key of its data. */
const CONFIG_MAP = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const KEY = /^[\w.-]{1,253}$/

function parseFileUrl(text: string): string {
  if (!text.startsWith('file:')) {
    throw refusal('write file:/path of the file that holds it: a key does not stand in this file')
  }
  return parseSecretPath(text.slice('file:'.length))
}
