import { type Endpoint, endpointUrl, isLoopbackHost } from './endpoint.ts'
import type { Reach } from './guard.ts'

/**
 * How far a request to this URL may go, made on behalf of a registry: to itself, to its token
 * service, to where it redirects. A token service that the operator allowed by name has
 * `realmReachOf` to say so.
 */
export function reachOf(url: URL, endpoint: Endpoint, configured: boolean): Reach {
  if (!configured) return 'public'
  if (authority(url) === authority(new URL(endpointUrl(endpoint)))) return 'anywhere'
  // A registry on loopback has its token service there too; nobody else may send us there.
  return isLoopbackHost(endpoint.host) && isLoopbackHost(url.host) ? 'anywhere' : 'site'
}

/**
 * How far a request for a token may go. What the operator allowed is for the registries that the
 * operator configured: a stranger's could name any path there.
 *
 * @param realms token services that the operator allowed: `host` (with any port) or `host:port`
 */
export function realmReachOf(
  realm: URL,
  endpoint: Endpoint,
  configured: boolean,
  realms: ReadonlySet<string>,
): Reach {
  const allowed = realms.has(realm.hostname) || realms.has(authority(realm))
  return configured && allowed ? 'anywhere' : reachOf(realm, endpoint, configured)
}

/**
 * How far a request for a token may go that is wanted by a host to which a registry redirects: to that host
 * itself as far as it took to get there, else to public addresses alone.
 *
 * @param reach with which that host is asked
 */
export function foreignRealmReachOf(realm: URL, foreign: Endpoint, reach: Reach): Reach {
  return authority(realm) === authority(new URL(endpointUrl(foreign))) ? reach : 'public'
}

function authority({ protocol, hostname, port }: URL): string {
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
}
