import { ResolveError } from '../errors.ts'
import { COMPONENT, PATH_MAX_LENGTH } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'

/**
 * Reads where a registry keeps what it serves: `{domain}/{path}` of the reference, with whatever
 * else may stand in a repository's name between them.
 *
 * @returns the text as it is
 * @throws ResolveError CONFIG_INVALID without `{path}`, and when no repository could be called so
 */
export function parsePathTemplate(text: string): string {
  const hint = 'write it of {domain}, {path} and a-z, 0-9, -, _, . and /, as in {domain}/{path}'
  if (!text.includes('{path}')) {
    throw refusal(`${quote(text)} has no {path}, so every image would be the same one; ${hint}`)
  }
  const example = text.replace(/\{(?:domain|path)\}/g, 'x')
  const isLegal =
    text.length <= PATH_MAX_LENGTH &&
    example.split('/').every((component) => COMPONENT.test(component))
  if (!isLegal) throw refusal(`${quote(text)} makes no name of a repository; ${hint}`)
  return text
}

function refusal(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}
