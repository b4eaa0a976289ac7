import { ResolveError } from '../errors.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/**
 * Parses the JSON object that a file or a program holds.
 *
 * @throws ResolveError CONFIG_INVALID that repeats nothing of the text, as JSON.parse does
 */
export function parseJsonObject(text: string): JsonObject {
  const value = parseJson(text)
  if (!isObject(value)) throw new ResolveError('CONFIG_INVALID', 'not a JSON object')
  return value
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    return undefined
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** undefined for anything but text that is not empty. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
