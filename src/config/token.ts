import { ResolveError } from '../errors.ts'

/**
 * Reads a token that goes into a header, where only visible ASCII can stand: a line break at its
 * end, say, would be found out by the registry alone.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text
 */
export function parseToken(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text
  throw new ResolveError(
    'CONFIG_INVALID',
    'not a token; write letters, digits and signs of ASCII on one line, without spaces',
  )
}
