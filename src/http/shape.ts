import type { Schema } from '../../api/v1/schema.ts'

type Part<Type> = Extract<Schema, { readonly type: Type }>

/**
 * What is wrong with a body, by name; undefined when nothing is. Reads as much of JSON Schema as the
 * bodies that are sent to this door are described in, for the reason that `readQuery` gives.
 *
 * @param where how to call it: `references[3]`
 */
export function misfit(schema: Schema, value: unknown, where = 'the body'): string | undefined {
  switch (schema.type) {
    case 'object':
      return misfitObject(schema, value, where)
    case 'array':
      return misfitList(schema, value, where)
    case 'string':
      return typeof value === 'string' ? undefined : `${where} must be text`
    default:
      return typeof value === schema.type ? undefined : `${where} must be a ${schema.type}`
  }
}

function misfitObject(schema: Part<'object'>, value: unknown, where: string): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return `${where} must be a JSON object`
  }
  const known = Object.keys(schema.properties)
  for (const [name, given] of Object.entries(value)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (property === undefined) {
      return `unknown field '${name.slice(0, 64)}'; known are ${known.join(', ')}`
    }
    const problem = misfit(property, given, `'${name}'`)
    if (problem !== undefined) return problem
  }
  const missing = schema.required?.find((name) => !Object.hasOwn(value, name))
  return missing === undefined ? undefined : `the field '${missing}' is missing`
}

function misfitList(schema: Part<'array'>, value: unknown, where: string): string | undefined {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY } = schema
  if (!Array.isArray(value)) return `${where} must be a list`
  if (value.length < minItems || value.length > maxItems) {
    return `${where} must have ${minItems} to ${maxItems} items, not ${value.length}`
  }
  for (const [index, item] of value.entries()) {
    const problem = misfit(schema.items, item, `${where}[${index}]`)
    if (problem !== undefined) return problem
  }
  return undefined
}
