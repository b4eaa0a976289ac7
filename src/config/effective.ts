import { isIPv6 } from 'node:net'
import { ConfigFile } from '../../api/v1/config.ts'
import type { SharedStoreFields } from '../../api/v1/config-registry.ts'
import type { Filled } from '../../api/v1/schema.ts'
import { messageOf } from '../errors.ts'
import { type Endpoint, isLoopbackHost, parseAddress } from '../registry/endpoint.ts'
import type {
  Config,
  Environment,
  HttpConfig,
  ProxyConfig,
  ResolverEntry,
  SharedStoreConfig,
  StoreAddress,
  StoreHost,
} from './config.ts'
import { type Diagnostics, joinPath, refusal, Section } from './diagnostics.ts'
import { socketExists } from './files.ts'
import { registryEntries, requirePair } from './registries.ts'
import { type DecodedConfig, filled } from './schema.ts'
import {
  detectRuntime,
  isLocalListen,
  isSameSocket,
  parseListen,
  parseProxy,
  parseSocketPath,
} from './values.ts'

/** What a configuration depends on beside what is written in it. */
export interface Surroundings {
  /** Where it is written; undefined: nowhere, and the defaults hold. */
  readonly file: string | undefined
  /** Tells which runtime is on this machine, when the file names none. Default: the file system. */
  readonly socketExists?: (path: string) => boolean
  /** Where proxies are looked for when the file has no `proxy:`. Default: this process's. */
  readonly env?: Environment
}

/**
 * What holds when `decoded` is what the file says. Mistakes go to `diagnostics`; the result is only
 * meant to be used when there are none.
 */
export function effectiveConfig(
  decoded: DecodedConfig,
  { file, socketExists: exists = socketExists, env = process.env }: Surroundings,
  diagnostics: Diagnostics,
): Config {
  const at = new Section(decoded, '', diagnostics)
  const {
    address,
    auth,
    ca,
    cert,
    key,
    insecureSkipVerify,
    plainHttp,
    offlinePriority,
    ...fields
  } = filled(ConfigFile, decoded)
  const { admission, cache, cri, http, proxy, shim } = fields
  const { imageCacheSize } = cache
  if (cri !== undefined && isSameSocket(shim, cri)) {
    at.problem('cri', 'the same socket as shim; name the socket that the runtime serves')
  }
  const caching = at.section('cache')
  if (imageCacheSize < 0) {
    caching.warning('imageCacheSize', `${imageCacheSize} is below 0; the cache is off`)
  }
  const shared = cache.shared && sharedStore(caching.section('shared'), cache.shared)
  const config = {
    ...fields,
    file,
    cri: decoded.cri === undefined ? detectRuntime(exists) : cri,
    criExpected: decoded.shim !== undefined || decoded.cri !== undefined,
    cache: { ...cache, imageCacheSize: Math.max(0, imageCacheSize), shared },
    registries: registryEntries(decoded, diagnostics),
    resolvers: resolverEntries(decoded, diagnostics),
    // An empty section is how a file says "none".
    proxy: proxy ?? proxyIn(env, diagnostics),
    pauseImage: undefined,
  }
  checkHttp(at.section('http'), http)
  if (admission.enabled && http.tls === undefined) {
    const why = 'the API server of Kubernetes asks by https alone: set http.tls'
    at.section('admission').warning('enabled', `${why}, unless a proxy before this service has it`)
  }
  return config
}

/** An address that other machines can reach is refused without a token. */
function checkHttp(
  at: Section<NonNullable<DecodedConfig['http']>>,
  { events, listen, tls }: HttpConfig,
): void {
  const hasToken = at.has('token') || at.has('tokenFile')
  if (at.has('token') && at.has('tokenFile')) {
    at.problem('tokenFile', 'the token is given twice, as token too: keep one')
  }
  if (events && !hasToken) {
    const why = 'notifications are taken with the token alone'
    at.problem('events', `${why}: set http.token or http.tokenFile`)
  }
  if (isLocalListen(parseListen(listen))) return
  if (!hasToken) {
    const local = ConfigFile.properties.http.properties.listen.default
    const how = `set http.token or http.tokenFile, or listen on ${local}`
    at.problem('listen', `other machines can reach ${listen} without a token: ${how}`)
  } else if (tls === undefined) {
    at.warning('listen', 'the token crosses the network in the clear: set http.tls')
  }
}

/**
 * The proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, then of their lower-case names, as in containerd. The
 * environment is not written for this service: what is wrong there is a warning.
 */
function proxyIn(env: Environment, diagnostics: Diagnostics): ProxyConfig {
  const variable = (name: string): string | undefined =>
    env[name] || env[name.toLowerCase()] || undefined
  const proxy = (name: string): string | undefined => {
    const text = variable(name)
    try {
      return text && parseProxy(text)
    } catch (thrown) {
      diagnostics.warning(`${name} of the environment`, messageOf(thrown))
      return undefined
    }
  }
  return { http: proxy('HTTP_PROXY'), https: proxy('HTTPS_PROXY'), no: variable('NO_PROXY') }
}

/**
 * What holds of `resolvers:`, services of which answers are taken. Beside a store it is refused: a node that reaches
 * the store needs no service in between.
 */
function resolverEntries(
  { cache, resolvers = [] }: Pick<DecodedConfig, 'cache' | 'resolvers'>,
  diagnostics: Diagnostics,
): readonly ResolverEntry[] {
  if (resolvers.length > 0 && cache?.shared !== undefined) {
    const how = 'keep cache.shared where the store can be reached, else resolvers'
    diagnostics.problem('resolvers', `cache.shared is set too: ${how}`)
  }
  return resolvers.flatMap((entry, index) => {
    const path = joinPath('resolvers', index)
    const { url, ca, tokenFile } = entry ?? {}
    const endpoint = diagnostics.parse(joinPath(path, 'url'), url, parseResolverUrl)
    if (endpoint === undefined) return []
    return [{ endpoint: { ...endpoint, ...(ca && { tls: { caFiles: [ca] } }) }, tokenFile }]
  })
}

/** What it answers is believed, so that nothing in between may change it. */
function parseResolverUrl(text: string): Endpoint {
  if (text.includes('@'))
    throw refusal('it holds credentials: write the token to a file, tokenFile')
  const endpoint = parseAddress(text)
  if (endpoint.scheme === 'https' || isLoopbackHost(endpoint.host)) return endpoint
  throw refusal('what lies between could say what an image is: write https://')
}

type DecodedShared = NonNullable<NonNullable<DecodedConfig['cache']>['shared']>

const FORMS =
  'redis://host:port, rediss:// for TLS, redis+sentinel://host:port,host:port/name, redis+cluster://host:port,host:port, or unix:///path'
const MAX_HOSTS = 16

/** What holds of `cache.shared:`; a store that other machines can reach needs a key to sign with. */
function sharedStore(
  at: Section<DecodedShared>,
  fields: Filled<typeof SharedStoreFields>,
): SharedStoreConfig | undefined {
  const address = at.parse('url', parseStoreUrl)
  if (address === undefined) return undefined
  const hasPassword = at.has('passwordFile')
  if (at.has('username') && !hasPassword) at.problem('username', 'needs passwordFile beside it')
  requirePair(at.section('tls'))
  const { isTls, kind } = address
  if (at.has('tls') && !isTls) at.warning('tls', 'not used: url is not rediss://')
  if (at.has('sentinelPasswordFile') && kind !== 'sentinel') {
    at.warning('sentinelPasswordFile', 'not used: url names no sentinels')
  }
  const { addresses } = fields
  if (addresses.length > 0 && (isTls || kind === 'single')) {
    const why = isTls ? 'certificates tell' : 'url names no sentinels and no cluster'
    at.warning('addresses', `not used: ${why}`)
  }
  const isLocal = isOnThisMachine(address) && addresses.every(isLoopback)
  if (!isLocal && !at.has('key')) {
    const why = 'other machines can reach this store and could say what an image is'
    const how = 'set cache.shared.key to file:/path of a secret that all nodes have'
    at.problem('key', `${why}: ${how}`, 'url')
  } else if (!isLocal && !isTls) {
    const what = hasPassword ? 'the password' : 'what is asked for'
    at.warning('url', `${what} crosses the network in the clear: write rediss://`)
  }
  return {
    ...fields,
    address,
    sentinelPasswordFile: kind === 'sentinel' ? fields.sentinelPasswordFile : undefined,
    isPlainOnNetwork: !isLocal && !isTls,
    tls: isTls ? fields.tls : undefined,
  }
}

function isOnThisMachine({ hosts }: StoreAddress): boolean {
  return hosts.every((where) => 'path' in where || isLoopback(where.host))
}

function isLoopback(host: string): boolean {
  return isLoopbackHost(isIPv6(host) ? `[${host}]` : host)
}

/**
 * Reads where a store is.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text, which may hold a password
 */
function parseStoreUrl(text: string): StoreAddress {
  if (text.startsWith('unix:')) {
    return { kind: 'single', isTls: false, hosts: [{ path: parseSocketPath(text) }], db: 0 }
  }
  const [, scheme, variant, rest = ''] =
    /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(.*)$/i.exec(text) ?? []
  if (scheme === undefined) throw refusal(`not the address of a store; write ${FORMS}`)
  if (rest.includes('@')) {
    throw refusal('a password does not stand in the address; use username and passwordFile')
  }
  const isTls = scheme.toLowerCase() === 'rediss'
  const kind = variant?.toLowerCase() ?? 'single'
  const [list = '', ...path] = rest.split('/')
  const port = kind === 'sentinel' ? 26379 : 6379
  const hosts = list.split(',').map((each) => parseHost(each, port))
  if (hosts.length > MAX_HOSTS) throw refusal(`more than ${MAX_HOSTS} hosts`)
  if (kind === 'cluster') {
    if (path.join('') !== '') throw refusal('a cluster has no databases; end it with the port')
    return { kind, isTls, hosts, db: 0 }
  }
  if (kind === 'sentinel') {
    const [master = '', db, ...further] = path
    if (!/^[\w.-]{1,128}$/.test(master) || further.length > 0) {
      throw refusal('after the sentinels comes the name that they watch, as in …:26379/mymaster')
    }
    return { kind, isTls, hosts, db: parseDatabase(db), master }
  }
  if (hosts.length > 1) throw refusal(`several hosts are sentinels or a cluster; write ${FORMS}`)
  if (path.length > 1) throw refusal('after the port comes nothing but the number of a database')
  return { kind: 'single', isTls, hosts, db: parseDatabase(path[0]) }
}

function parseHost(text: string, defaultPort: number): StoreHost {
  const [, bracketed, name, digits] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([\w.-]{1,253}))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? name
  const port = digits === undefined ? defaultPort : Number(digits)
  const isPort = port > 0 && port <= 65_535
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)) || !isPort) {
    throw refusal(`a host of the store is not host:port; write ${FORMS}`)
  }
  return { host, port }
}

function parseDatabase(text = ''): number {
  if (text === '') return 0
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw refusal('the database of a store is a number, as in redis://host:6379/0')
}
