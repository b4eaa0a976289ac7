import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import { parseUserPassword } from '../registry/credentials.ts'
import {
  type Endpoint,
  type EndpointTls,
  endpointName,
  parseAddress,
} from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { isPublicRegistry, publicMirrorOf } from '../registry/public-registries.ts'
import {
  parseAbsolutePath,
  parsePathTemplate,
  parseSecretPath,
  parseUpstream,
} from './addresses.ts'
import { inAskingOrder, servesKey } from './asking-order.ts'
import { type Diagnostics, joinPath, refusal } from './diagnostics.ts'
import type { DecodedConfig, DecodedRegistry } from './schema.ts'

const MAX_PRIORITY = 10_000
/** What stands beside the top-level address, and is for it alone. */
const OFFLINE_FIELDS = ['auth', 'ca', 'cert', 'key', 'insecureSkipVerify', 'plainHttp'] as const

/** The registries of a file in the order of asking: priority, then the offline one, then name. */
export function registryEntries(
  decoded: DecodedConfig,
  diagnostics: Diagnostics,
): readonly RegistryEntry[] {
  const found = new Map<string, { readonly entry: RegistryEntry; readonly path: string }>()
  for (const [index, registry] of (decoded.registries ?? []).entries()) {
    const path = joinPath('registries', index)
    const entry = registry === undefined ? undefined : listedEntry(registry, path, diagnostics)
    if (entry === undefined) continue
    const earlier = found.get(servesKey(entry))
    if (earlier !== undefined) {
      diagnostics.warning(
        earlier.path,
        `left out: ${path} serves the same at the same address, and the last one counts`,
      )
    }
    found.set(servesKey(entry), { entry, path })
  }
  const offline = offlineEntry(decoded, diagnostics)
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
function offlineEntry(decoded: DecodedConfig, diagnostics: Diagnostics): RegistryEntry | undefined {
  const { address, auth, offlinePriority = 0, plainHttp } = decoded
  const endpoint = entryEndpoint(decoded, '', diagnostics)
  const credentials = authCredentials(auth, 'auth', diagnostics)
  // 0 has always meant "the default" here, so the lowest priority to be had is 1.
  const priority =
    offlinePriority === 0
      ? CONFIG_DEFAULTS.offlinePriority
      : clamped(offlinePriority, 1, 'offlinePriority', diagnostics)
  if (address === undefined) {
    for (const field of OFFLINE_FIELDS.filter((name) => decoded[name] !== undefined)) {
      diagnostics.warning(field, 'not used: it belongs to the top-level address, and there is none')
    }
  }
  if (endpoint === undefined) return undefined
  noteScheme(address, plainHttp, endpoint, 'address', diagnostics)
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
  registry: DecodedRegistry,
  place: string,
  diagnostics: Diagnostics,
): RegistryEntry | undefined {
  const endpoint = entryEndpoint(registry, place, diagnostics)
  const credentials = entryCredentials(registry, place, diagnostics)
  const { priority = CONFIG_DEFAULTS.priority, upstreams, capabilities, trusted } = registry
  const clampedPriority = clamped(priority, 0, joinPath(place, 'priority'), diagnostics)
  const served = diagnostics.parseList(joinPath(place, 'upstreams'), upstreams, parseUpstream)
  const path = diagnostics.parse(joinPath(place, 'path'), registry.path, parsePathTemplate)
  if (endpoint === undefined) return undefined
  noteScheme(
    registry.address,
    registry.plainHttp,
    endpoint,
    joinPath(place, 'address'),
    diagnostics,
  )
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
  diagnostics: Diagnostics,
): void {
  const isWritten = address?.includes('://') === true || plainHttp !== undefined
  if (isWritten || scheme === 'http' || isPublicRegistry(host)) return
  const url = `http://${address?.trim()}`
  diagnostics.note(
    path,
    `asked over https, since it has no scheme; if it is plain http, write ${url}`,
  )
}

function clamped(priority: number, lowest: number, path: string, diagnostics: Diagnostics): number {
  const used = Math.min(Math.max(priority, lowest), MAX_PRIORITY)
  if (used !== priority) {
    diagnostics.warning(
      path,
      `${priority} is outside ${lowest} to ${MAX_PRIORITY}; ${used} is used`,
    )
  }
  return used
}

type AddressFields = Pick<DecodedRegistry, 'address' | 'plainHttp' | (typeof TLS_FIELDS)[number]>

const SCHEME = /^\s*(https?):\/\//i
const TLS_FIELDS = ['ca', 'cert', 'key', 'insecureSkipVerify'] as const

/**
 * Where an entry of `registries:`, or the top-level address, is and how it is spoken to; undefined
 * when its address cannot be.
 */
function entryEndpoint(
  registry: AddressFields,
  path: string,
  diagnostics: Diagnostics,
): Endpoint | undefined {
  const { address, plainHttp } = registry
  const scheme = address === undefined ? undefined : SCHEME.exec(address)?.[1]?.toLowerCase()
  if (scheme !== undefined && plainHttp !== undefined && plainHttp !== (scheme === 'http')) {
    diagnostics.problem(
      joinPath(path, 'plainHttp'),
      `${plainHttp}, and the address says ${scheme}://: leave one of them out`,
    )
  }
  const wanted = plainHttp === undefined || scheme !== undefined ? '' : schemeOf(plainHttp)
  const endpoint = diagnostics.parse(joinPath(path, 'address'), address, (text) =>
    // An address with another scheme is refused as it is.
    parseAddress(text.includes('://') ? text : `${wanted}${text.trim()}`),
  )
  const tls = entryTls(registry, path, diagnostics)
  if (endpoint === undefined || tls === undefined) return endpoint
  if (endpoint.scheme === 'https') return { ...endpoint, tls }
  for (const field of TLS_FIELDS.filter((name) => registry[name])) {
    diagnostics.warning(joinPath(path, field), 'not used: this registry is asked over http')
  }
  return endpoint
}

function schemeOf(plainHttp: boolean): string {
  return plainHttp ? 'http://' : 'https://'
}

function entryTls(
  registry: AddressFields,
  path: string,
  diagnostics: Diagnostics,
): EndpointTls | undefined {
  const fileOf = (name: 'ca' | 'cert'): string | undefined =>
    diagnostics.parse(joinPath(path, name), registry[name], parseAbsolutePath)
  const caFile = fileOf('ca')
  const certFile = fileOf('cert')
  const keyFile = diagnostics.parse(joinPath(path, 'key'), registry.key, parseSecretPath)
  for (const [field, other] of [
    ['cert', 'key'],
    ['key', 'cert'],
  ] as const) {
    if (registry[field] !== undefined && registry[other] === undefined) {
      diagnostics.problem(joinPath(path, field), `needs ${other} beside it`)
    }
  }
  const tls: EndpointTls = {
    ...(caFile === undefined ? {} : { caFiles: [caFile] }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    ...(registry.insecureSkipVerify ? { insecureSkipVerify: true } : {}),
  }
  return Object.keys(tls).length === 0 ? undefined : tls
}

/** The ways to give credentials; an entry has one or none. */
const WAYS = ['auth', 'password', 'passwordFile', 'identityToken', 'tokenFile'] as const

type Secrets = Pick<RegistryEntry, 'credentials' | 'credentialFiles'>

/** What an entry of `registries:` says about credentials; no message repeats any of it. */
function entryCredentials(
  registry: DecodedRegistry,
  path: string,
  diagnostics: Diagnostics,
): Secrets {
  const { username, password, identityToken } = registry
  const [way, second] = WAYS.filter((name) => isGiven(registry, name))
  const needsUser = way === 'password' || way === 'passwordFile'
  if (second !== undefined) {
    const message = `credentials are given twice, as ${way} too: keep one of them`
    diagnostics.problem(joinPath(path, second), message)
    return {}
  }
  if (way !== undefined && needsUser && username === undefined) {
    diagnostics.problem(joinPath(path, way), 'needs username beside it')
    return {}
  }
  if (username !== undefined) {
    const place = joinPath(path, 'username')
    if (!needsUser) diagnostics.problem(place, 'needs password or passwordFile beside it')
    if (username.includes(':')) diagnostics.problem(place, 'holds a colon, which no user name can')
  }
  const fileOf = (name: 'passwordFile' | 'tokenFile'): string | undefined =>
    diagnostics.parse(joinPath(path, name), registry[name], parseSecretPath)
  switch (way) {
    case 'auth':
      return authCredentials(registry.auth, joinPath(path, 'auth'), diagnostics)
    case 'password':
      return {
        credentials: { kind: 'basic', username: username ?? '', password: password ?? '' },
      }
    case 'passwordFile': {
      const passwordFile = fileOf(way)
      return passwordFile === undefined || username === undefined
        ? {}
        : { credentialFiles: { username, passwordFile } }
    }
    case 'identityToken': {
      const token = diagnostics.parse(joinPath(path, way), identityToken, parseToken)
      return token === undefined ? {} : { credentials: { kind: 'identityToken', token } }
    }
    case 'tokenFile': {
      const tokenFile = fileOf(way)
      return tokenFile === undefined ? {} : { credentialFiles: { tokenFile } }
    }
    default:
      return {}
  }
}

/** What `auth:` says, of an entry or of the top-level address. */
function authCredentials(
  auth: string | undefined,
  path: string,
  diagnostics: Diagnostics,
): Pick<Secrets, 'credentials'> {
  const credentials = isEmptyAuth(auth)
    ? undefined
    : diagnostics.parse(path, auth, parseUserPassword)
  return credentials === undefined ? {} : { credentials }
}

function isGiven(registry: DecodedRegistry, way: (typeof WAYS)[number]): boolean {
  return registry[way] !== undefined && !(way === 'auth' && isEmptyAuth(registry.auth))
}

/** What `{{ .user }}:{{ .password }}` leaves when neither is set. */
function isEmptyAuth(auth: string | undefined): boolean {
  return auth === ':'
}

/**
 * Reads a token that goes into a header, where only visible ASCII can stand: a line break at its
 * end, say, would be found out by the registry alone.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text
 */
export function parseToken(text: string): string {
  if (/^[\x21-\x7e]+$/.test(text)) return text
  throw refusal('not a token; write letters, digits and signs of ASCII on one line, without spaces')
}
