import { CONFIG_DEFAULTS } from '../../api/v1/config.ts'
import type { Credentials } from '../registry/credentials.ts'
import { endpointName, parseAddress } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { parseUserPassword } from '../registry/keychain.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import type { Findings } from './findings.ts'
import { joinPath } from './path.ts'
import { parseUpstream } from './upstream.ts'
import type { Written } from './written.ts'

const MAX_PRIORITY = 10_000

/** The registries of a file in the order of asking: priority, then the offline one, then name. */
export function registryEntries(written: Written, findings: Findings): readonly RegistryEntry[] {
  const found = new Map<string, { readonly entry: RegistryEntry; readonly path: string }>()
  for (const [index, registry] of (written.registries ?? []).entries()) {
    const path = joinPath('registries', index)
    const entry = registry === undefined ? undefined : listedEntry(registry, path, findings)
    if (entry === undefined) continue
    const earlier = found.get(keyOf(entry))
    if (earlier !== undefined) {
      findings.warning(
        earlier.path,
        `left out: ${path} has the same address, and the last one counts`,
      )
    }
    found.set(keyOf(entry), { entry, path })
  }
  const offline = offlineEntry(written, findings)
  if (offline !== undefined) {
    const listed = found.get(keyOf(offline))
    if (listed !== undefined) {
      findings.warning(listed.path, 'left out: the top-level address names the same registry')
    }
    found.set(keyOf(offline), { entry: offline, path: 'address' })
  }
  return [...found.values()].map(({ entry }) => entry).sort(byAskingOrder)
}

/** The registry of the top-level `address:`. */
function offlineEntry(written: Written, findings: Findings): RegistryEntry | undefined {
  const { address, auth, offlinePriority = 0 } = written
  const endpoint = findings.parse('address', address, parseAddress)
  const credentials = readAuth(auth, 'auth', findings)
  // 0 has always meant "the default" here, so the lowest priority to be had is 1.
  const priority =
    offlinePriority === 0
      ? CONFIG_DEFAULTS.offlinePriority
      : clamped(offlinePriority, 1, 'offlinePriority', findings)
  if (address === undefined && auth !== undefined) {
    findings.warning('auth', 'not used: it belongs to the top-level address, and there is none')
  }
  if (endpoint === undefined) return undefined
  return {
    name: endpointName(endpoint),
    endpoint,
    priority,
    offline: true,
    ...(credentials === undefined ? {} : { credentials }),
  }
}

function listedEntry(
  registry: NonNullable<NonNullable<Written['registries']>[number]>,
  path: string,
  findings: Findings,
): RegistryEntry | undefined {
  const endpoint = findings.parse(joinPath(path, 'address'), registry.address, parseAddress)
  const credentials = readAuth(registry.auth, joinPath(path, 'auth'), findings)
  const priority = clamped(
    registry.priority ?? CONFIG_DEFAULTS.priority,
    0,
    joinPath(path, 'priority'),
    findings,
  )
  const upstreams = registry.upstreams?.flatMap((upstream, index) => {
    const place = joinPath(joinPath(path, 'upstreams'), index)
    return findings.parse(place, upstream, parseUpstream) ?? []
  })
  if (endpoint === undefined) return undefined
  return {
    name: endpointName(endpoint),
    endpoint,
    priority,
    offline: false,
    ...(credentials === undefined ? {} : { credentials }),
    ...(upstreams === undefined ? {} : { upstreams: [...new Set(upstreams)] }),
  }
}

function readAuth(
  auth: string | undefined,
  path: string,
  findings: Findings,
): Credentials | undefined {
  // What `{{ .user }}:{{ .password }}` leaves when neither is set.
  return auth === ':' ? undefined : findings.parse(path, auth, parseUserPassword)
}

function clamped(priority: number, lowest: number, path: string, findings: Findings): number {
  const used = Math.min(Math.max(priority, lowest), MAX_PRIORITY)
  if (used !== priority) {
    findings.warning(path, `${priority} is outside ${lowest} to ${MAX_PRIORITY}; ${used} is used`)
  }
  return used
}

/** Two names of Docker Hub are one registry; two prefixes on one host are two. */
function keyOf({ endpoint }: RegistryEntry): string {
  return `${canonicalDomain(endpoint.host)}/${endpoint.prefix}`
}

function byAskingOrder(a: RegistryEntry, b: RegistryEntry): number {
  if (a.priority !== b.priority) return b.priority - a.priority
  if (a.offline !== b.offline) return a.offline ? -1 : 1
  return a.name < b.name ? -1 : 1
}
