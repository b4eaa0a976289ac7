import { ResolveError } from '../errors.ts'
import { DOMAIN } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'

/**
 * Reads the host of a token service: `auth.corp`, `auth.corp:8443`, `[fd00::7]:8443`.
 *
 * @returns lower case
 * @throws ResolveError CONFIG_INVALID for a URL, a path, and what no host can be
 */
export function parseRealm(text: string): string {
  const host = text.toLowerCase()
  if (DOMAIN.test(host) && URL.canParse(`https://${host}`)) return host
  throw new ResolveError(
    'CONFIG_INVALID',
    `${quote(text)} is not the host of a token service; write host or host:port, without scheme and path`,
  )
}
