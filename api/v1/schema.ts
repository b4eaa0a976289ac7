/**
 * The part of JSON Schema (2020-12) that the contract is written in. Schemas are plain values, and
 * their types are read off them, so nothing has to run to have either.
 *
 * A schema with an `$id` may stand wherever one is expected; the OpenAPI document has it once, as a
 * component of that name.
 */
export type Schema = TextSchema | BooleanSchema | NumberSchema | ListSchema | ObjectSchema

interface Described {
  readonly description?: string
}

export interface TextSchema extends Described {
  /** `null` where there may be nothing to say. */
  readonly type: 'string' | readonly ['string', 'null']
  readonly enum?: readonly string[]
  readonly const?: string
  readonly format?: 'date-time'
  readonly default?: string
  readonly examples?: readonly string[]
  /** In the configuration: a number goes on, as it is written, to what reads the text, which takes it or says more of it. */
  readonly orNumber?: true
  /** A secret, or it may hold one. */
  readonly writeOnly?: true
}

export interface BooleanSchema extends Described {
  readonly type: 'boolean'
  readonly default?: boolean
}

export interface NumberSchema extends Described {
  /** `null` where there may be nothing to say. */
  readonly type: 'integer' | 'number' | readonly ['number', 'null']
  readonly minimum?: number
  readonly maximum?: number
  readonly default?: number
  readonly examples?: readonly number[]
}

export interface ListSchema extends Described {
  readonly type: 'array'
  readonly items: Schema
  readonly minItems?: number
  readonly maxItems?: number
}

export interface ObjectSchema extends Described {
  readonly $id?: string
  readonly type: 'object'
  readonly properties: Readonly<Record<string, Schema>>
  /** Absent: every property may be missing. */
  readonly required?: readonly string[]
  readonly additionalProperties?: false
  /** In the configuration: the field that a text in the place of the fields stands for. */
  readonly shorthand?: string
}

/** What may be written as T: the same members, at every level, that nothing changes. */
export type Written<T> = { readonly [K in keyof T]: Written<T[K]> }

/**
 * A copy of a value with nothing but what its schema names, at every level: what a value carries beside that is
 * never written.
 */
export function onlyNamed<T>(schema: Schema, value: Written<T>): T {
  return copy(schema, value) as T
}

function copy(schema: Schema, value: unknown): unknown {
  if (schema.type === 'array') {
    return Array.isArray(value) ? value.map((each) => copy(schema.items, each)) : value
  }
  if (schema.type !== 'object' || typeof value !== 'object' || value === null) return value
  const given = value as Readonly<Record<string, unknown>>
  const named = Object.entries(schema.properties).filter(([name]) => given[name] !== undefined)
  return Object.fromEntries(named.map(([name, member]) => [name, copy(member, given[name])]))
}
