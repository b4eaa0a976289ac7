import { type Endpoint, endpointUrl, isLoopbackHost } from './endpoint.ts'
import type { Reach } from './guard.ts'

/**
 * How far a request to this URL may go, made on behalf of a registry: to itself, to its token
 * service, to where it redirects.
 */
export function reachOf(url: URL, endpoint: Endpoint, configured: boolean): Reach {
  if (!configured) return 'public'
  if (authority(url) === authority(new URL(endpointUrl(endpoint)))) return 'anywhere'
  // A registry on loopback has its token service there too; nobody else may send us there.
  return isLoopbackHost(endpoint.host) && isLoopbackHost(url.host) ? 'anywhere' : 'site'
}

function authority({ protocol, hostname, port }: URL): string {
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
}
