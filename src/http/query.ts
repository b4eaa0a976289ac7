/** The shape of a flat query: what api/v1 says of `GET /resolve`, as far as it matters here. */
export interface QuerySchema {
  readonly properties: Readonly<Record<string, object>>
  readonly required?: readonly string[]
}

export type QueryResult = { readonly value: Record<string, unknown> } | { readonly error: Error }

/**
 * Reads a query by its schema: `true` and `false` become booleans where the schema has one, and
 * everything that is unknown, missing, repeated or not quite a boolean is refused by name. Ajv can
 * say no less clearly, but loading it takes longer than all the rest of this door.
 * @param query values are strings, or lists of them where a name is given twice
 */
export function readQuery(
  schema: QuerySchema,
  query: Readonly<Record<string, unknown>>,
): QueryResult {
  const value: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(query)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    if (property === undefined) {
      const known = Object.keys(schema.properties).join(', ')
      return refuse(`unknown query parameter '${name.slice(0, 64)}'; known are ${known}`)
    }
    if (typeof given !== 'string') return refuse(`the query parameter '${name}' is given twice`)
    const read = isBoolean(property) ? readBoolean(given) : given
    if (read === undefined) return refuse(`the query parameter '${name}' must be true or false`)
    value[name] = read
  }
  const missing = schema.required?.find((name) => value[name] === undefined)
  return missing === undefined ? { value } : refuse(`the query parameter '${missing}' is missing`)
}

function isBoolean(property: object): boolean {
  return 'type' in property && property.type === 'boolean'
}

function readBoolean(text: string): boolean | undefined {
  return text === 'true' ? true : text === 'false' ? false : undefined
}

function refuse(message: string): QueryResult {
  return { error: new Error(message) }
}
