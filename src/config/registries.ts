import { ConfigFile } from '../../api/v1/config.ts'
import { RegistryFields } from '../../api/v1/config-registry.ts'
import { parseUserPassword } from '../registry/credentials.ts'
import {
  type Endpoint,
  type EndpointTls,
  endpointName,
  parseAddress,
} from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { canonicalDomain, isPublicRegistry, publicMirrorOf } from '../registry/public-registries.ts'
import { type Config, OFFLINE_FIELDS } from './config.ts'
import { type Diagnostics, joinPath, Section } from './diagnostics.ts'
import type { DecodedConfig, DecodedRegistry } from './schema.ts'

const MAX_PRIORITY = 10_000

/** The registries of a file in the order of asking: priority, then the offline one, then name. */
export function registryEntries(
  decoded: DecodedConfig,
  diagnostics: Diagnostics,
): readonly RegistryEntry[] {
  const found = new Map<string, { readonly entry: RegistryEntry; readonly path: string }>()
  for (const [index, registry] of (decoded.registries ?? []).entries()) {
    const path = joinPath('registries', index)
    const entry = registry && listedEntry(new Section(registry, path, diagnostics))
    if (entry === undefined) continue
    const earlier = found.get(servesKey(entry))
    if (earlier !== undefined) {
      const why = `${path} serves the same at the same address, and the last one counts`
      diagnostics.warning(earlier.path, `left out: ${why}`)
    }
    found.set(servesKey(entry), { entry, path })
  }
  const offline = offlineEntry(new Section(decoded, '', diagnostics))
  if (offline !== undefined) {
    const listed = found.get(servesKey(offline))
    if (listed !== undefined) {
      diagnostics.warning(listed.path, 'left out: the top-level address names the same registry')
    }
    found.set(servesKey(offline), { entry: offline, path: 'address' })
  }
  return inAskingOrder([...found.values()].map(({ entry }) => entry))
}

/** The registry of the top-level `address:`. */
function offlineEntry(at: Section<DecodedConfig>): RegistryEntry | undefined {
  const { address, offlinePriority = 0 } = at.fields
  const endpoint = entryEndpoint(at)
  const credentials = authCredentials(at)
  // 0 has always meant "the default" here, so the lowest priority to be had is 1.
  const priority =
    offlinePriority === 0
      ? ConfigFile.properties.offlinePriority.default
      : clamped(offlinePriority, 1, 'offlinePriority', at)
  if (address === undefined) {
    for (const field of OFFLINE_FIELDS.filter((name) => at.has(name))) {
      at.warning(field, 'not used: it belongs to the top-level address, and there is none')
    }
  }
  if (endpoint === undefined) return undefined
  noteScheme(at, endpoint)
  return {
    name: endpointName(endpoint),
    endpoint,
    priority,
    offline: true,
    ...credentials,
    ...impliedUpstreams(endpoint),
  }
}

function listedEntry(at: Section<DecodedRegistry>): RegistryEntry | undefined {
  const {
    capabilities,
    path,
    priority = RegistryFields.properties.priority.default,
    trusted,
    upstreams,
  } = at.fields
  const endpoint = entryEndpoint(at)
  const credentials = entryCredentials(at)
  const clampedPriority = clamped(priority, 0, 'priority', at)
  if (endpoint === undefined) return undefined
  noteScheme(at, endpoint)
  return {
    name: endpointName(endpoint),
    endpoint,
    priority: clampedPriority,
    offline: false,
    ...credentials,
    ...(upstreams === undefined ? impliedUpstreams(endpoint) : { upstreams }),
    ...(path === undefined ? {} : { path }),
    ...(capabilities === undefined ? {} : { capabilities }),
    ...(trusted === undefined ? {} : { trusted }),
  }
}

/** A well-known public mirror serves the registry that it is a mirror of, and no other. */
function impliedUpstreams({ host }: Endpoint): Pick<RegistryEntry, 'upstreams'> {
  const mirrored = publicMirrorOf(host)
  return mirrored === undefined ? {} : { upstreams: [mirrored] }
}

function clamped(
  priority: number,
  lowest: number,
  name: string,
  at: Pick<Section<object>, 'warning'>,
): number {
  const used = Math.min(Math.max(priority, lowest), MAX_PRIORITY)
  if (used !== priority) {
    at.warning(name, `${priority} is outside ${lowest} to ${MAX_PRIORITY}; ${used} is used`)
  }
  return used
}

/** Of an entry of `registries:`, or of the top-level address. */
type AddressFields = Section<
  Pick<DecodedRegistry, 'address' | 'auth' | 'plainHttp' | (typeof TLS_FIELDS)[number]>
>

const SCHEME = /^\s*(https?):\/\//i
const TLS_FIELDS = ['ca', 'cert', 'key', 'insecureSkipVerify'] as const

/** image-cri-shim tries http where https fails; here the address decides. */
function noteScheme(at: AddressFields, { scheme, host }: Endpoint): void {
  const { address = '', plainHttp } = at.fields
  const isWritten = address.includes('://') || plainHttp !== undefined
  if (isWritten || scheme === 'http' || isPublicRegistry(host)) return
  const how = `if it is plain http, write http://${address.trim()}`
  at.note('address', `asked over https, since it has no scheme; ${how}`)
}

/** Where it is, and how it is spoken to; undefined when its address cannot be. */
function entryEndpoint(at: AddressFields): Endpoint | undefined {
  const { address = '', plainHttp } = at.fields
  const scheme = SCHEME.exec(address)?.[1]?.toLowerCase()
  if (scheme !== undefined && plainHttp !== undefined && plainHttp !== (scheme === 'http')) {
    const how = 'leave one of them out'
    at.problem('plainHttp', `${plainHttp}, and the address says ${scheme}://: ${how}`)
  }
  const wanted = plainHttp === undefined ? '' : plainHttp ? 'http://' : 'https://'
  const endpoint = at.parse('address', (text) =>
    // An address with another scheme is refused as it is.
    parseAddress(text.includes('://') ? text : `${wanted}${text.trim()}`),
  )
  const tls = entryTls(at)
  if (endpoint === undefined || tls === undefined) return endpoint
  if (endpoint.scheme === 'https') return { ...endpoint, tls }
  for (const field of TLS_FIELDS.filter((name) => at.fields[name])) {
    at.warning(field, 'not used: this registry is asked over http')
  }
  return endpoint
}

function entryTls(at: AddressFields): EndpointTls | undefined {
  const { ca, cert, insecureSkipVerify, key } = at.fields
  requirePair(at)
  const tls: EndpointTls = {
    ...(ca === undefined ? {} : { caFiles: [ca] }),
    ...(cert === undefined ? {} : { certFile: cert }),
    ...(key === undefined ? {} : { keyFile: key }),
    ...(insecureSkipVerify ? { insecureSkipVerify } : {}),
  }
  return Object.keys(tls).length === 0 ? undefined : tls
}

/** A certificate without its key is of no use, nor the other way round. */
export function requirePair(
  at: Pick<Section<{ cert?: unknown; key?: unknown }>, 'has' | 'problem'>,
): void {
  if (at.has('cert') === at.has('key')) return
  const [given, missing] = at.has('key') ? ['key', 'cert'] : ['cert', 'key']
  at.problem(given ?? '', `needs ${missing} beside it`)
}

/** The ways to give credentials; an entry has one or none. */
const WAYS = ['auth', 'password', 'passwordFile', 'identityToken', 'tokenFile'] as const

type Secrets = Pick<RegistryEntry, 'credentials' | 'credentialFiles'>

/** What an entry of `registries:` says about credentials; no message repeats any of it. */
function entryCredentials(at: Section<DecodedRegistry>): Secrets {
  const { identityToken, password = '', passwordFile, tokenFile, username } = at.fields
  const [way, second] = WAYS.filter((name) => isGiven(at, name))
  const needsUser = way === 'password' || way === 'passwordFile'
  if (second !== undefined) {
    at.problem(second, `credentials are given twice, as ${way} too: keep one of them`)
    return {}
  }
  if (needsUser && username === undefined) {
    at.problem(way, 'needs username beside it')
    return {}
  }
  if (username !== undefined) {
    if (!needsUser) at.problem('username', 'needs password or passwordFile beside it')
    if (username.includes(':')) at.problem('username', 'holds a colon, which no user name can')
  }
  if (way === 'auth') return authCredentials(at)
  if (way === 'password')
    return { credentials: { kind: 'basic', username: username ?? '', password } }
  if (identityToken !== undefined) {
    return { credentials: { kind: 'identityToken', token: identityToken } }
  }
  if (tokenFile !== undefined) return { credentialFiles: { tokenFile } }
  return passwordFile === undefined || username === undefined
    ? {}
    : { credentialFiles: { username, passwordFile } }
}

/** What `auth:` says, of an entry or of the top-level address. */
function authCredentials(at: AddressFields): Pick<Secrets, 'credentials'> {
  if (!isGiven(at, 'auth')) return {}
  const credentials = at.parse('auth', parseUserPassword)
  return credentials === undefined ? {} : { credentials }
}

/** `auth` is a lone colon where `{{ .user }}:{{ .password }}` was rendered and neither is set. */
function isGiven(
  at: Pick<Section<DecodedRegistry>, 'fields' | 'has'>,
  way: (typeof WAYS)[number],
): boolean {
  return at.has(way) && !(way === 'auth' && at.fields.auth === ':')
}

/** No address has this sign, so that a numbered name is never an address. */
const NUMBER = /#\d+$/

/**
 * Registries as they are asked: by priority, then the offline one, then by name, then as given.
 * Where several have one name, all but the first get a number.
 */
export function inAskingOrder(entries: readonly RegistryEntry[]): readonly RegistryEntry[] {
  const counts = new Map<string, number>()
  return entries
    .map((entry) => ({ ...entry, name: plainName(entry) }))
    .sort(byAskingOrder)
    .map((entry) => {
      const count = (counts.get(entry.name) ?? 0) + 1
      counts.set(entry.name, count)
      return count === 1 ? entry : { ...entry, name: `${entry.name}#${count}` }
    })
}

/** `host[:port][/prefix]`, without the number that may stand behind it. */
function plainName({ name }: RegistryEntry): string {
  return name.replace(NUMBER, '')
}

/**
 * The same for entries that serve the same from the same place. Two names of Docker Hub are one
 * registry; two prefixes on one host are two, and so are two sets of upstreams.
 */
export function servesKey(entry: RegistryEntry): string {
  const { endpoint, upstreams, exceptUpstreams = [], path = '{path}', rewrite } = entry
  const { host, prefix, root = '' } = endpoint
  const served = upstreams === undefined ? undefined : [...upstreams].sort()
  const kept = [prefix, root, path, rewrite?.rules]
  return JSON.stringify([canonicalDomain(host), ...kept, served, exceptUpstreams])
}

function byAskingOrder(a: RegistryEntry, b: RegistryEntry): number {
  if (a.priority !== b.priority) return b.priority - a.priority
  if (a.offline !== b.offline) return a.offline ? -1 : 1
  if (a.name === b.name) return 0
  return a.name < b.name ? -1 : 1
}

/**
 * Which registries are asked for the images of every domain, and which for none at all: both follow
 * from what is not written.
 *
 * @returns one line for each entry without `upstreams` of which that is so
 */
export function scopeNotes({ registries }: Pick<Config, 'registries'>): readonly string[] {
  return registries.filter(({ upstreams }) => upstreams === undefined).flatMap(scopeNote)
}

function scopeNote(entry: RegistryEntry): readonly string[] {
  const { name, endpoint, exceptUpstreams = [], offline } = entry
  const how = offline
    ? 'an entry of `registries` could say whose images it has, by `upstreams`'
    : '`upstreams` says whose images it has'
  if (!isPublicRegistry(endpoint.host)) {
    const rest = exceptUpstreams.length === 0 ? '' : ` but ${exceptUpstreams.join(', ')}`
    return [`${name} is asked for the images of every domain${rest}: ${how}`]
  }
  // Without a prefix it serves its own images, which needs no note.
  if (endpoint.prefix === '') return []
  return [`${name} is never asked: anyone can own names at ${endpoint.host}; ${how}`]
}
