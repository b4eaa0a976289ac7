import { isIP, isIPv6 } from 'node:net'
import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import { quote } from '../reference/quote.ts'
import { isLoopbackHost } from '../registry/endpoint.ts'
import { parseAbsolutePath, parseSecretPath, parseSocketPath } from './addresses.ts'
import type { SharedStoreConfig, StoreAddress, StoreHost } from './config.ts'
import { type Diagnostics, refusal } from './diagnostics.ts'
import { KEEPING, parseDuration, readDuration, STORE_BUDGET } from './duration.ts'
import type { DecodedConfig } from './schema.ts'

type DecodedShared = NonNullable<NonNullable<DecodedConfig['cache']>['shared']>

const PLACE = 'cache.shared'
const FORMS =
  'redis://host:port, rediss:// for TLS, redis+sentinel://host:port,host:port/name, redis+cluster://host:port,host:port, or unix:///path'
const MAX_HOSTS = 16

/** What holds of `cache.shared:`; a store that other machines can reach needs a key to sign with. */
export function effectiveShared(
  decoded: DecodedShared | undefined,
  diagnostics: Diagnostics,
): SharedStoreConfig | undefined {
  if (decoded === undefined) return undefined
  const pathOf = (
    name: string,
    text: string | undefined,
    parse = parseSecretPath,
  ): string | undefined => diagnostics.parse(`${PLACE}.${name}`, text, parse)
  const address = diagnostics.parse(`${PLACE}.url`, decoded.url, parseStoreUrl)
  const keyFile = diagnostics.parse(`${PLACE}.key`, decoded.key, parseKeyFile)
  const passwordFile = pathOf('passwordFile', decoded.passwordFile)
  const sentinelPasswordFile = pathOf('sentinelPasswordFile', decoded.sentinelPasswordFile)
  const tls = {
    caFile: pathOf('tls.ca', decoded.tls?.ca, parseAbsolutePath),
    certFile: pathOf('tls.cert', decoded.tls?.cert, parseAbsolutePath),
    keyFile: pathOf('tls.key', decoded.tls?.key),
  }
  const freshness = decoded.freshness ?? CONFIG_DEFAULTS.shared.freshness
  const budget = decoded.budget ?? CONFIG_DEFAULTS.shared.budget
  const freshnessMs = readDuration(`${PLACE}.freshness`, freshness, KEEPING, diagnostics)
  const budgetMs = readDuration(`${PLACE}.budget`, budget, STORE_BUDGET, diagnostics)
  if (address === undefined || decoded.url === undefined) return undefined
  if (decoded.username !== undefined && decoded.passwordFile === undefined) {
    diagnostics.problem(`${PLACE}.username`, 'needs passwordFile beside it')
  }
  if ((decoded.tls?.cert === undefined) !== (decoded.tls?.key === undefined)) {
    const [given, missing] = decoded.tls?.cert === undefined ? ['key', 'cert'] : ['cert', 'key']
    diagnostics.problem(`${PLACE}.tls.${given}`, `needs ${missing} beside it`)
  }
  if (decoded.tls !== undefined && !address.isTls) {
    diagnostics.warning(`${PLACE}.tls`, 'not used: url is not rediss://')
  }
  if (decoded.sentinelPasswordFile !== undefined && address.kind !== 'sentinel') {
    diagnostics.warning(`${PLACE}.sentinelPasswordFile`, 'not used: url names no sentinels')
  }
  const addresses = diagnostics.parseList(`${PLACE}.addresses`, decoded.addresses, parseNetwork)
  if (addresses.length > 0 && (address.isTls || address.kind === 'single')) {
    const why = address.isTls ? 'certificates tell' : 'url names no sentinels and no cluster'
    diagnostics.warning(`${PLACE}.addresses`, `not used: ${why}`)
  }
  const isLocal = isOnThisMachine(address) && addresses.every(isLoopback)
  if (!isLocal) {
    if (decoded.key === undefined) {
      const why = 'other machines can reach this store and could say what an image is'
      const how = 'set cache.shared.key to file:/path of a secret that all nodes have'
      diagnostics.problem(`${PLACE}.key`, `${why}: ${how}`, `${PLACE}.url`)
    } else if (!address.isTls) {
      const what = decoded.passwordFile === undefined ? 'what is asked for' : 'the password'
      diagnostics.warning(
        `${PLACE}.url`,
        `${what} crosses the network in the clear: write rediss://`,
      )
    }
  }
  return {
    url: decoded.url,
    address,
    keyFile,
    username: decoded.username,
    passwordFile,
    sentinelPasswordFile: address.kind === 'sentinel' ? sentinelPasswordFile : undefined,
    addresses,
    isPlainOnNetwork: !isLocal && !address.isTls,
    tls: address.isTls ? tls : { caFile: undefined, certFile: undefined, keyFile: undefined },
    freshnessMs,
    budgetMs: budgetMs === 0 ? parseDuration(CONFIG_DEFAULTS.shared.budget) : budgetMs,
  }
}

function isOnThisMachine({ hosts }: StoreAddress): boolean {
  return hosts.every((where) => 'path' in where || isLoopback(where.host))
}

function isLoopback(host: string): boolean {
  return isLoopbackHost(isIPv6(host) ? `[${host}]` : host)
}

function parseNetwork(text: string): string {
  const [, host = '', prefix] = /^([^/]{1,253})(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const bits = { 4: 32, 6: 128 }[isIP(host)]
  const isNetwork = bits !== undefined && Number(prefix ?? 0) <= bits
  if (isNetwork || (prefix === undefined && /^[\w.-]+$/.test(host))) return text
  throw refusal(`${quote(text)} is no host, no IP address and no network as 10.0.0.0/8`)
}

function parseKeyFile(text: string): string {
  if (!text.startsWith('file:')) {
    throw refusal('write file:/path of the file that holds it: a key does not stand in this file')
  }
  return parseSecretPath(text.slice('file:'.length))
}

/**
 * Reads where a store is.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text, which may hold a password
 */
export function parseStoreUrl(text: string): StoreAddress {
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
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed)) || port > 65_535) {
    throw refusal(`a host of the store is not host:port; write ${FORMS}`)
  }
  return { host, port }
}

function parseDatabase(text = ''): number {
  if (text === '') return 0
  if (/^\d{1,4}$/.test(text)) return Number(text)
  throw refusal('the database of a store is a number, as in redis://host:6379/0')
}
