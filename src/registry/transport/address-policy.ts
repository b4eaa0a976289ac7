import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { type Endpoint, endpointUrl, isLoopbackHost } from '../endpoint.ts'

/**
 * How far a connection may go.
 * - `anywhere`: the operator named this very host.
 * - `site`: a registry that the operator named sends us there. Private networks are where on-premises
 *   token services live; loopback and link-local (cloud metadata) are never meant.
 * - `public`: whoever wrote the reference named the host. Public addresses only.
 */
export type AddressPolicy = 'anywhere' | 'site' | 'public'

/** Thrown by the connection itself, before a byte is sent. */
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
/** Behind which the last 32 bits are an IPv4 address: NAT64, that of one's own network, and SIIT. */
const TRANSLATED: readonly string[] = ['64:ff9b::', '64:ff9b:1::', '::ffff:0:']

const REFUSED: Record<AddressPolicy, BlockList> = {
  anywhere: blockList([], []),
  site: blockList(LOCAL_V4, LOCAL_V6),
  public: blockList([...LOCAL_V4, ...PRIVATE_V4], [...LOCAL_V6, ...PRIVATE_V6]),
}

/** Whether an IP address is out of reach; what is no IP address always is. */
export function isRefused(address: string, reach: AddressPolicy): boolean {
  const family = isIP(address)
  if (family === 0) return true
  return REFUSED[reach].check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/**
 * Why a URL's host is out of reach by what is written there; Node looks up names alone, so that a literal
 * address has to be checked before.
 *
 * @param host without brackets
 */
export function literalRefusal(host: string, reach: AddressPolicy): AddressRefused | undefined {
  return isIP(host) !== 0 && isRefused(host, reach) ? refusal(host, reach) : undefined
}

/**
 * `dns.lookup` that fails for names which lead out of reach. The address is looked at that is connected
 * to, not the name that was given: names that lead to private addresses are an old trick against checks
 * of the URL. If one of a name's addresses is out of reach, the name is.
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

/** Says nothing of the address that the name led to: that would make us a way to look around. */
function refusal(host: string, reach: AddressPolicy): AddressRefused {
  const kind = reach === 'public' ? 'private or local' : 'local'
  return new AddressRefused(
    `${host} leads to a ${kind} address; if that is meant, name it under \`registries\``,
  )
}

/**
 * IPv4 rules hold for IPv4-mapped addresses by themselves; translated ones and 6to4 (2002::/16) carry
 * an IPv4 address too.
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
 * How far a request to this URL may go, made on behalf of a registry: to itself, to its token
 * service, to where it redirects. A token service that the operator allowed by name has
 * `realmPolicyFor` to say so.
 */
export function policyFor(url: URL, endpoint: Endpoint, configured: boolean): AddressPolicy {
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
 * How far a request for a token may go that is wanted by a host to which a registry redirects: to that host
 * itself as far as it took to get there, else to public addresses alone.
 *
 * @param reach with which that host is asked
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
