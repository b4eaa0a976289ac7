import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { type Endpoint, endpointUrl, isLoopbackHost } from '../endpoint.ts'

/**
 * Which addresses a connection may lead to.
 * - `anywhere`: the operator named this host.
 * - `site`: a registry that the operator named leads there. Private networks are allowed, since on-premises token
 *   services are there; loopback and link-local addresses (cloud metadata) are not.
 * - `public`: the author of the reference named the host. Public addresses only.
 */
export type AddressPolicy = 'anywhere' | 'site' | 'public'

/** Thrown before a byte is sent. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused'
}

type Subnet = readonly [network: string, prefix: number]

/**
 * Two clouds keep their metadata services in private ranges, 100.100.100.200 and fd00:ec2::254, and
 * one at a public address, 168.63.129.16.
 */
const LOCAL_V4: readonly Subnet[] = [
  ['0.0.0.0', 8],
  ['100.100.100.200', 32],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['192.0.0.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
const PRIVATE_V4: readonly Subnet[] = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
]
/** `::/96` holds ::, ::1 and the IPv4-compatible addresses. */
const LOCAL_V6: readonly Subnet[] = [
  ['::', 96],
  ['fd00:ec2::', 32],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
]
const PRIVATE_V6: readonly Subnet[] = [['fc00::', 7]]
/** Prefixes of addresses with an IPv4 address as their last 32 bits: NAT64, local NAT64, and SIIT. */
const TRANSLATED: readonly string[] = ['64:ff9b::', '64:ff9b:1::', '::ffff:0:']

/** Made at the first question; registries that the operator named ask for none. */
const REFUSED = new Map<AddressPolicy, BlockList>()

/** Whether a policy refuses an IP address; anything else is always refused. */
export function isRefused(address: string, reach: AddressPolicy): boolean {
  const family = isIP(address)
  if (family === 0) return true
  return reach !== 'anywhere' && refusedBy(reach).check(address, family === 6 ? 'ipv6' : 'ipv4')
}

function refusedBy(reach: 'site' | 'public'): BlockList {
  const [v4, v6] = reach === 'public' ? [PRIVATE_V4, PRIVATE_V6] : [[], []]
  const list = REFUSED.get(reach) ?? blockList([...LOCAL_V4, ...v4], [...LOCAL_V6, ...v6])
  REFUSED.set(reach, list)
  return list
}

/**
 * The refusal of a host that is written as an address. Node looks up names alone, so that addresses have to be
 * checked before.
 *
 * @param host without brackets
 */
export function literalRefusal(host: string, reach: AddressPolicy): AddressRefused | undefined {
  return isIP(host) !== 0 && isRefused(host, reach) ? refusal(host, reach) : undefined
}

/**
 * `dns.lookup` that fails for names with an address that the policy refuses. It checks the address that is
 * connected to: names that resolve to private addresses are a known way around checks of the URL (SSRF). One
 * refused address refuses the name.
 */
export function guardedLookup(
  reach: AddressPolicy,
  resolve: typeof lookup = lookup,
): LookupFunction {
  return (hostname, options, callback) => {
    const all: LookupOptions & { all: true } = { ...options, all: true }
    resolve(hostname, all, (error, addresses: LookupAddress[]) => {
      const [first] = addresses ?? []
      if (error !== null || first === undefined) {
        callback(error ?? refusal(hostname, reach), '', 0)
      } else if (addresses.some(({ address }) => isRefused(address, reach))) {
        callback(refusal(hostname, reach), '', 0)
      } else if (options.all) {
        callback(null, addresses)
      } else {
        callback(null, first.address, first.family)
      }
    })
  }
}

/** Does not name the address: that would let callers explore the network. */
function refusal(host: string, reach: AddressPolicy): AddressRefused {
  const kind = reach === 'public' ? 'private or local' : 'local'
  return new AddressRefused(
    `${host} leads to a ${kind} address; if that is meant, name it under \`registries\``,
  )
}

/**
 * BlockList applies IPv4 rules to IPv4-mapped addresses; translated ones and 6to4 (2002::/16) contain an IPv4
 * address too.
 */
function blockList(v4: readonly Subnet[], v6: readonly Subnet[]): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of v4) {
    list.addSubnet(network, prefix, 'ipv4')
    for (const translated of TRANSLATED) {
      list.addSubnet(`${translated}${network}`, 96 + prefix, 'ipv6')
    }
    list.addSubnet(sixToFour(network), 16 + prefix, 'ipv6')
  }
  for (const [network, prefix] of v6) list.addSubnet(network, prefix, 'ipv6')
  return list
}

function sixToFour(network: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = network.split('.').map(Number)
  return `2002:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}::`
}

/**
 * The policy of a request on behalf of a registry: to itself, to its token service, to the target of a redirect.
 * For token services that the operator allowed by name see `realmPolicyFor`.
 */
export function policyFor(url: URL, endpoint: Endpoint, configured: boolean): AddressPolicy {
  if (!configured) return 'public'
  const own = endpointUrl(endpoint)
  if (url.origin === own || authority(url) === authority(new URL(own))) return 'anywhere'
  // A registry on loopback has its token service there too; no other one may lead there.
  return isLoopbackHost(endpoint.host) && isLoopbackHost(url.host) ? 'anywhere' : 'site'
}

/**
 * The policy of a request for a token. The allowed realms are for configured registries: any other one could name
 * any path there.
 *
 * @param realms token services that the operator allowed: `host` (with any port) or `host:port`
 */
export function realmPolicyFor(
  realm: URL,
  endpoint: Endpoint,
  configured: boolean,
  realms: ReadonlySet<string>,
): AddressPolicy {
  const allowed = realms.has(realm.hostname) || realms.has(authority(realm))
  return configured && allowed ? 'anywhere' : policyFor(realm, endpoint, configured)
}

/**
 * The policy of a request for a token of a host to which a registry redirects: to that host itself the policy of
 * the redirect, else public addresses only.
 *
 * @param reach the policy of the request to that host
 */
export function foreignRealmPolicyFor(
  realm: URL,
  foreign: Endpoint,
  reach: AddressPolicy,
): AddressPolicy {
  return authority(realm) === authority(new URL(endpointUrl(foreign))) ? reach : 'public'
}

function authority({ protocol, hostname, port }: URL): string {
  return `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
}
