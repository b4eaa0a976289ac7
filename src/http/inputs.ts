import type { FastifyInstance } from 'fastify'
import type { Schema } from '../../api/v1/schema.ts'
import { parseJson } from '../json.ts'
import { RequestError } from './error-response.ts'

/**
 * Lists, objects and what is in them: as many as a thousand references need, and more. The parser
 * would spend a tenth of a second and more on a quarter of a million, and no other client is served
 * meanwhile, a kubelet neither.
 */
const MAX_PARTS = 4_096

function notForUs(): never {
  throw new Error('queries, bodies and answers are read and written without the compilers')
}

/**
 * For the framework, which would otherwise load its compilers of schemas with itself, used or not:
 * a hundred files.
 */
export const noCompilers = {
  compilersFactory: { buildValidator: notForUs, buildSerializer: notForUs },
}

/**
 * How queries and bodies are read. Answers are built field by field: compiled validators and
 * serialisers would only make the start slower, by a third of a second.
 */
export function readInputs(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : readJson(String(body)))
    } catch (error) {
      done(error as RequestError)
    }
  })
  app.setValidatorCompiler(({ schema, httpPart }) => {
    if (httpPart === 'querystring') return (query) => readQuery(schema as QuerySchema, query)
    if (httpPart !== 'body') return () => true
    return (body: unknown) => {
      const problem = validateBody(schema as Schema, body)
      return problem === undefined ? { value: body } : { error: new Error(problem) }
    }
  })
  app.setSerializerCompiler(() => JSON.stringify)
  // A route with a description that names no query has none.
  app.addHook('onRoute', ({ schema }) => {
    if (schema?.operationId !== undefined) schema.querystring ??= { type: 'object', properties: {} }
  })
}

/** Adds routes that get their bodies as text, and read them by themselves. */
export function withTextBodies(
  app: FastifyInstance,
  types: string | RegExp,
  addRoutes: (scope: FastifyInstance) => void,
): void {
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(types, { parseAs: 'string' }, (_request, body, taken) =>
      taken(null, body),
    )
    // Of a body of no bytes no parser is told.
    scope.addHook('preValidation', (request, _reply, next) => {
      request.body ??= ''
      next()
    })
    scope.setValidatorCompiler(() => () => true)
    addRoutes(scope)
    done()
  })
}

/**
 * A body as JSON.
 *
 * @throws RequestError REQUEST_INVALID for what is none, has too many parts, or a field that is given twice
 */
export function readJson(text: string): unknown {
  const problem = problemOf(text)
  if (problem !== undefined) throw new RequestError('REQUEST_INVALID', problem)
  const parsed = parseJson(text)
  if (parsed === undefined) throw new RequestError('REQUEST_INVALID', 'the body is not JSON')
  return parsed
}

/**
 * What JSON.parse would not say: too many parts, or a field that is given twice, of which it would take
 * the last one and another reader the first (RFC 8259, section 4).
 */
function problemOf(text: string): string | undefined {
  const tokens = /"((?:[^"\\]|\\.)*)"(\s*:)?|[,[{}\]]/gs
  const objects: Set<string>[] = []
  let parts = 0
  for (const [token, string, colon] of text.matchAll(tokens)) {
    if (token === '{' || token === '[') objects.push(new Set())
    else if (token === '}' || token === ']') objects.pop()
    if (token === ',' || token === '{' || token === '[') parts += 1
    if (parts > MAX_PARTS) return `the body has more than ${MAX_PARTS} parts`
    if (string === undefined || colon === undefined) continue
    const name = nameOf(string)
    if (objects.at(-1)?.has(name)) return `the field '${name.slice(0, 64)}' is given twice`
    objects.at(-1)?.add(name)
  }
  return undefined
}

/** Two spellings of one name are the same field. */
function nameOf(string: string): string {
  try {
    return JSON.parse(`"${string}"`)
  } catch {
    return string
  }
}

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
      return validateText(schema, value, where)
    default:
      return typeof value === schema.type ? undefined : `${where} must be a ${schema.type}`
  }
}

function validateText(
  { enum: words }: { readonly enum?: readonly string[] },
  value: unknown,
  where: string,
): string | undefined {
  if (typeof value !== 'string') return `${where} must be text`
  if (words === undefined || words.includes(value)) return undefined
  return `${where} must be one of ${words.join(', ')}`
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

/** What api/v1 says of a flat query, as far as it matters here. */
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
