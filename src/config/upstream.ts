import { ResolveError } from '../errors.ts'
import { splitDomain } from '../reference/domain.ts'
import { DOMAIN } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'
import { canonicalDomain } from '../registry/public-registries.ts'

/**
 * Reads the domain of an upstream as references name it: `quay.io`, `hub.corp:5000`, and
 * `docker.io` for every name of Docker Hub.
 *
 * @throws ResolveError CONFIG_INVALID for a URL, a path, a wildcard, and a name that no reference
 *   can have as its domain
 */
export function parseUpstream(text: string): string {
  const domain = canonicalDomain(text)
  if (DOMAIN.test(domain) && splitDomain(`${domain}/x`).domain === domain) return domain
  throw new ResolveError(
    'CONFIG_INVALID',
    `${quote(text)} is not a registry's domain; write it as references do, without scheme and path: docker.io, quay.io or hub.corp:5000`,
  )
}
