import { isMap, isScalar, isSeq, parseDocument, type YAMLMap } from 'yaml'
import { ResolveError } from '../errors.ts'

/** @returns undefined where it is not set */
export function fieldOf(text: string, field: string, file: string): string | undefined {
  const value = readMapping(text, file)?.get(field)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The items of a list, or the one text in its place. */
export function itemsOf(text: string, field: string, file: string): readonly string[] | undefined {
  const value: unknown = readMapping(text, file)?.get(field, true)
  if (isScalar(value)) return [String(value.value)]
  if (!isSeq(value)) return undefined
  return value.items.map((item) => String(isScalar(item) ? item.value : item))
}

function readMapping(text: string, file: string): YAMLMap | undefined {
  const document = parseDocument(text, { logLevel: 'silent', prettyErrors: false })
  const [mistake] = document.errors
  if (mistake !== undefined) {
    throw new ResolveError('CONFIG_INVALID', `${file} is no YAML: ${mistake.message}`)
  }
  const { contents } = document
  if (contents === null) return undefined
  if (!isMap(contents)) throw new ResolveError('CONFIG_INVALID', `${file} is no mapping`)
  return contents
}
