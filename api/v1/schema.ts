import type { XStatic } from 'typebox/schema'

/**
 * The part of JSON Schema (2020-12) that the contract is written in. Schemas are plain values, and
 * their types are read off them.
 *
 * A schema with an `$id` may stand wherever one is expected; the OpenAPI document has it once, as a
 * component of that name.
 */
export type Schema = TextSchema | BooleanSchema | NumberSchema | ListSchema | ObjectSchema

interface Described {
  readonly description?: string
  readonly effect?: Effect
}

/**
 * In the configuration: when a change takes effect, of a section that of each of its fields. Absent: at once;
 * `anew`: at once, and no answer that was found before is given any more; `restart`: when the service starts again.
 */
export type Effect = 'anew' | 'restart'

export interface TextSchema extends Described {
  /** `null` where there may be nothing to say. */
  readonly type: 'string' | readonly ['string', 'null']
  readonly enum?: readonly string[]
  readonly const?: string
  /** In the configuration: what reads the text, by src/config/formats.ts. */
  readonly format?: TextFormat
  /** Of a duration; 0 is always inside. */
  readonly range?: DurationRange
  /** In the configuration: 0 stands for the default. */
  readonly zeroIsDefault?: true
  readonly default?: string
  readonly examples?: readonly string[]
  /** In the configuration: a number goes on, as it is written, to what reads the text, which takes it or says more of it. */
  readonly orNumber?: true
  /** A secret, or it may hold one. */
  readonly writeOnly?: true
}

export type TextFormat =
  | 'date-time'
  | 'duration'
  | 'socket'
  | 'path'
  | 'file'
  | 'folder'
  | 'secretFile'
  | 'fileUrl'
  | 'upstream'
  | 'pathTemplate'
  | 'network'
  | 'realm'
  | 'proxy'
  | 'listen'
  | 'token'
  | 'configMapName'
  | 'configMapKey'

export interface DurationRange {
  readonly leastMs: number
  readonly mostMs: number
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
  /** In the configuration: what is not written is not there, rather than there with its defaults. */
  readonly optional?: true
  /** In the configuration: the field that a text in the place of the fields stands for. */
  readonly shorthand?: string
}

type NamesOf<Members> = keyof Members & string
type Bare<Name> = Name extends `${infer Before}?` ? Before : Name

/**
 * The schema of an object.
 *
 * @param members by name; one that may be missing has a `?` behind its name
 */
export function object<const Members extends Readonly<Record<string, Schema>>>(members: Members) {
  const entries = Object.entries(members)
  const required = entries.map(([name]) => name).filter((name) => !name.endsWith('?'))
  return {
    type: 'object',
    // XStatic reads tuples alone.
    required: required as [Exclude<NamesOf<Members>, `${string}?`>],
    properties: Object.fromEntries(
      entries.map(([name, schema]) => [name.replace('?', ''), schema]),
    ) as { readonly [Name in NamesOf<Members> as Bare<Name>]: Members[Name] },
  } as const
}

/** The schema of a section of the configuration, or of a query: any member may be missing, and no other is taken. */
export function fields<const Members extends Readonly<Record<string, Schema>>>(
  properties: Members,
) {
  return { type: 'object', additionalProperties: false, properties } as const
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

type Duration = { readonly format: 'duration' }
type Given<S> = S extends { readonly required: readonly (infer Name)[] } ? Name : never
type NameOf<K, Field> = K extends string ? (Field extends Duration ? `${K}Ms` : K) : never
type ValueOf<Field, IsGiven> = Field extends Duration
  ? number
  : Field extends { readonly type: 'object' }
    ? Filled<Field> | (Field extends { readonly optional: true } ? undefined : never)
    : Field extends { readonly type: 'array'; readonly items: infer Item }
      ? readonly XStatic<Item>[]
      : XStatic<Field> | (Field extends IsGiven ? never : undefined)

/**
 * The fields of a schema as the program uses them: each is there, with its default where it is not written, lists
 * and sections too unless they are optional. Durations are milliseconds, with `Ms` behind their names.
 */
export type Filled<S> = S extends { readonly properties: infer Fields }
  ? {
      readonly [K in keyof Fields as NameOf<K, Fields[K]>]: ValueOf<
        Fields[K],
        K extends Given<S> ? unknown : { readonly default: unknown }
      >
    }
  : never

type DecodedValue<Field> = Field extends Duration
  ? number
  : Field extends { readonly type: 'object' }
    ? Decoded<Field>
    : Field extends { readonly type: 'array'; readonly items: infer Item }
      ? readonly (Item extends { readonly type: 'object' }
          ? Decoded<Item> | undefined
          : XStatic<Item>)[]
      : XStatic<Field>

/** The fields of a schema that a file has, named and read as in Filled; of what is written wrongly the name alone. */
export type Decoded<S> = S extends { readonly properties: infer Fields }
  ? {
      readonly [K in keyof Fields as NameOf<K, Fields[K]>]?: DecodedValue<Fields[K]> | undefined
    }
  : never
