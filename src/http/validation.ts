import type { Schema } from '../../api/v1/schema.ts'

type Part<Type> = Extract<Schema, { readonly type: Type }>

/**
 * What is wrong with a body, by name; undefined when nothing is. Reads as much of JSON Schema as the
 * bodies that are sent to this API are described in, for the reason that `readQuery` gives.
 *
 * @param where how to call it: `references[3]`
 */
export function validateBody(
  schema: Schema,
  value: unknown,
  where = 'the body',
): string | undefined {
  switch (schema.type) {
    case 'object':
      return validateObject(schema, value, where)
    case 'array':
      return validateList(schema, value, where)
    case 'string':
      return typeof value === 'string' ? undefined : `${where} must be text`
    default:
      return typeof value === schema.type ? undefined : `${where} must be a ${schema.type}`
  }
}

function validateObject(schema: Part<'object'>, value: unknown, where: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `${where} must be a JSON object`
  }
  const known = Object.keys(schema.properties)
  for (const [name, given] of Object.entries(value)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (property === undefined) {
      return `unknown field '${name.slice(0, 64)}'; known are ${known.join(', ')}`
    }
    const problem = validateBody(property, given, `'${name}'`)
    if (problem !== undefined) return problem
  }
  const missing = schema.required?.find((name) => !Object.hasOwn(value, name))
  return missing === undefined ? undefined : `the field '${missing}' is missing`
}

function validateList(schema: Part<'array'>, value: unknown, where: string): string | undefined {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
  if (!Array.isArray(value)) return `${where} must be a list`
  if (value.length < minItems || value.length > maxItems) {
    return `${where} must have ${minItems} to ${maxItems} items, not ${value.length}`
  }
  for (const [index, item] of value.entries()) {
    const problem = validateBody(schema.items, item, `${where}[${index}]`)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** The shape of a flat query: what api/v1 says of one, as far as it matters here. */
export interface QuerySchema {
  readonly properties: Readonly<Record<string, object>>
  readonly required?: readonly string[]
}

export type QueryResult = { readonly value: Record<string, unknown> } | { readonly error: Error }

/**
 * Reads a query by its schema: `true` and `false` become booleans where the schema has one, digits
 * numbers, and everything that is unknown, missing, repeated or not quite a boolean or number is
 * refused by name. Ajv can say no less clearly, but loading it takes longer than all the rest of this
 * API.
 * @param query values are strings, or lists of them where a name is given twice
 */
export function readQuery(
  schema: QuerySchema,
  query: Readonly<Record<string, unknown>>,
): QueryResult {
  const value: Record<string, unknown> = {}
  // `query` has no prototype, and this is done for every request.
  for (const name in query) {
    const given = query[name]
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (property === undefined) {
      const known = Object.keys(schema.properties).join(', ') || 'none'
      return refuse(`unknown query parameter '${name.slice(0, 64)}'; known are ${known}`)
    }
    if (typeof given !== 'string') return refuse(`the query parameter '${name}' is given twice`)
    const read = readValue(property, given)
    if (typeof read === 'object') return refuse(`the query parameter '${name}' must be ${read.be}`)
    value[name] = read
  }
  const missing = schema.required?.find((name) => value[name] === undefined)
  return missing === undefined ? { value } : refuse(`the query parameter '${missing}' is missing`)
}

type Value = string | boolean | number | { readonly be: string }

function readValue(property: object, text: string): Value {
  const type = 'type' in property ? property.type : 'string'
  if (type === 'boolean') return readBoolean(text)
  return type === 'integer' ? readInteger(property, text) : text
}

function readBoolean(text: string): Value {
  return text === 'true' || text === 'false' ? text === 'true' : { be: 'true or false' }
}

function readInteger(
  bounds: { readonly minimum?: number; readonly maximum?: number },
  text: string,
): Value {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = bounds
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  const fits = number >= minimum && number <= maximum
  return fits ? number : { be: `a whole number from ${minimum} to ${maximum}` }
}

function refuse(message: string): QueryResult {
  return { error: new Error(message) }
}
