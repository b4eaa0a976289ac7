import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import { type Endpoint, endpointName } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { isPublicRegistry, publicMirrorOf } from '../registry/public-registries.ts'
import { inAskingOrder, servesKey } from './asking-order.ts'
import { authCredentials, entryCredentials } from './entry-credentials.ts'
import { entryEndpoint } from './entry-endpoint.ts'
import type { Findings } from './findings.ts'
import { joinPath } from './path.ts'
import { parsePathTemplate } from './path-template.ts'
import { parseUpstream } from './upstream.ts'
import type { Written, WrittenRegistry } from './written.ts'

const MAX_PRIORITY = 10_000
/** What stands beside the top-level address, and is for it alone. */
const OFFLINE_FIELDS = ['auth', 'ca', 'cert', 'key', 'insecureSkipVerify', 'plainHttp'] as const

/** The registries of a file in the order of asking: priority, then the offline one, then name. */
export function registryEntries(written: Written, findings: Findings): readonly RegistryEntry[] {
  const found = new Map<string, { readonly entry: RegistryEntry; readonly path: string }>()
  for (const [index, registry] of (written.registries ?? []).entries()) {
    const path = joinPath('registries', index)
    const entry = registry === undefined ? undefined : listedEntry(registry, path, findings)
    if (entry === undefined) continue
    const earlier = found.get(servesKey(entry))
    if (earlier !== undefined) {
      findings.warning(
        earlier.path,
        `left out: ${path} serves the same at the same address, and the last one counts`,
      )
    }
    found.set(servesKey(entry), { entry, path })
  }
  const offline = offlineEntry(written, findings)
  if (offline !== undefined) {
    const listed = found.get(servesKey(offline))
    if (listed !== undefined) {
      findings.warning(listed.path, 'left out: the top-level address names the same registry')
    }
    found.set(servesKey(offline), { entry: offline, path: 'address' })
  }
  return inAskingOrder([...found.values()].map(({ entry }) => entry))
}

/** The registry of the top-level `address:`. */
function offlineEntry(written: Written, findings: Findings): RegistryEntry | undefined {
  const { address, auth, offlinePriority = 0, plainHttp } = written
  const endpoint = entryEndpoint(written, '', findings)
  const credentials = authCredentials(auth, 'auth', findings)
  // 0 has always meant "the default" here, so the lowest priority to be had is 1.
  const priority =
    offlinePriority === 0
      ? CONFIG_DEFAULTS.offlinePriority
      : clamped(offlinePriority, 1, 'offlinePriority', findings)
  if (address === undefined) {
    for (const field of OFFLINE_FIELDS.filter((name) => written[name] !== undefined)) {
      findings.warning(field, 'not used: it belongs to the top-level address, and there is none')
    }
  }
  if (endpoint === undefined) return undefined
  noteScheme(address, plainHttp, endpoint, 'address', findings)
  return {
    name: endpointName(endpoint),
    endpoint,
    priority,
    offline: true,
    ...credentials,
    ...impliedUpstreams(endpoint),
  }
}

function listedEntry(
  registry: WrittenRegistry,
  place: string,
  findings: Findings,
): RegistryEntry | undefined {
  const endpoint = entryEndpoint(registry, place, findings)
  const credentials = entryCredentials(registry, place, findings)
  const { priority = CONFIG_DEFAULTS.priority, upstreams, capabilities, trusted } = registry
  const clampedPriority = clamped(priority, 0, joinPath(place, 'priority'), findings)
  const served = findings.parseList(joinPath(place, 'upstreams'), upstreams, parseUpstream)
  const path = findings.parse(joinPath(place, 'path'), registry.path, parsePathTemplate)
  if (endpoint === undefined) return undefined
  noteScheme(registry.address, registry.plainHttp, endpoint, joinPath(place, 'address'), findings)
  return {
    name: endpointName(endpoint),
    endpoint,
    priority: clampedPriority,
    offline: false,
    ...credentials,
    ...(upstreams === undefined ? impliedUpstreams(endpoint) : { upstreams: served }),
    ...(path === undefined ? {} : { path }),
    ...(capabilities === undefined ? {} : { capabilities: [...new Set(capabilities)] }),
    ...(trusted === undefined ? {} : { trusted }),
  }
}

/** A well-known public mirror serves the registry that it is a mirror of, and no other. */
function impliedUpstreams({ host }: Endpoint): Pick<RegistryEntry, 'upstreams'> {
  const mirrored = publicMirrorOf(host)
  return mirrored === undefined ? {} : { upstreams: [mirrored] }
}

/** image-cri-shim tries http where https fails; here the address decides. */
function noteScheme(
  address: string | undefined,
  plainHttp: boolean | undefined,
  { scheme, host }: Endpoint,
  path: string,
  findings: Findings,
): void {
  const isWritten = address?.includes('://') === true || plainHttp !== undefined
  if (isWritten || scheme === 'http' || isPublicRegistry(host)) return
  const url = `http://${address?.trim()}`
  findings.note(path, `asked over https, since it has no scheme; if it is plain http, write ${url}`)
}

function clamped(priority: number, lowest: number, path: string, findings: Findings): number {
  const used = Math.min(Math.max(priority, lowest), MAX_PRIORITY)
  if (used !== priority) {
    findings.warning(path, `${priority} is outside ${lowest} to ${MAX_PRIORITY}; ${used} is used`)
  }
  return used
}
