import { posix } from 'node:path'
import { messageOf, ResolveError } from '../../errors.ts'
import { type Fields, isFields } from '../../json.ts'
import { COMPONENT } from '../../reference/grammar.ts'
import { quote } from '../../reference/quote.ts'
import { type Endpoint, type EndpointTls, parseAddress } from '../../registry/endpoint.ts'
import type { Capability, RepositoryRewrite } from '../../registry/entry.ts'
import { canonicalDomain, DOCKER_HUB, DOCKER_HUB_HOST } from '../../registry/public-registries.ts'
import { joinPath } from '../diagnostics.ts'
import { parseToml } from '../toml.ts'
import { quoteAddress } from '../values.ts'
import { parseRewrite } from './hosts-rewrite.ts'

/** What one hosts.toml says, in the order of asking. */
export interface HostsFile {
  /** The tables `[host."URL"]`. */
  readonly hosts: readonly HostRule[]
  /** Of `server`; its `url` is absent when that is not written and the domain itself is meant. */
  readonly server: ServerRule
  /** One line each: what is written, but has no effect here. */
  readonly notes: readonly string[]
}

/** How one host is asked. */
export interface ServerRule {
  readonly url?: HostUrl
  /** Maybe empty: a host that is only pushed to. */
  readonly capabilities: readonly Capability[]
  readonly tls?: EndpointTls
  readonly headers?: Readonly<Record<string, string>>
  readonly rewrite?: RepositoryRewrite
}

export interface HostRule extends ServerRule {
  readonly url: HostUrl
}

const FIELDS: ReadonlySet<string> = new Set([
  'capabilities',
  'ca',
  'client',
  'skip_verify',
  'override_path',
  'header',
  'dial_timeout',
  'rewrite',
])
const MAX_HOSTS = 64
/** Of a list, and headers of one host. */
const MAX_ITEMS = 64
const MAX_DEPTH = 8
export const BOTH: readonly Capability[] = ['resolve', 'pull']
/** What each of containerd's capabilities means where images are only read, by name. */
const CAPABILITIES: Readonly<Record<string, Capability | undefined>> = {
  resolve: 'resolve',
  pull: 'pull',
  push: undefined,
  referrers: undefined,
}
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
/** Set by the HTTP client. */
const OWN_HEADERS = /^(?:host|connection|content-length|transfer-encoding|upgrade|te|expect)$/i

/**
 * Reads a hosts.toml (containerd, docs/hosts.md). A host with a key that is not known is left out:
 * builds of containerd have keys of their own, and one of them may say that the host keeps another
 * image by that path.
 *
 * @param folder where it lies; paths in it start there
 * @throws ResolveError CONFIG_INVALID for the first mistake, with its place; never a header's value
 */
export async function parseHostsFile(text: string, folder: string): Promise<HostsFile> {
  const { mistake, root } = parseToml(text, MAX_DEPTH)
  if (mistake !== undefined) {
    const where = `line ${mistake.line}: not valid TOML`
    throw new ResolveError('CONFIG_INVALID', `${where}: ${mistake.reason}`)
  }
  const { server, host = {}, ...own } = root
  const notes: string[] = []
  if (!isFields(host)) throw invalid('host', 'expected tables, [host."https://mirror.corp"]')
  const tables = Object.entries(host)
  if (tables.length > MAX_HOSTS) throw invalid('host', `more than ${MAX_HOSTS} hosts`)
  const hosts: HostRule[] = []
  for (const [name, table] of tables) {
    const path = `host.${quoteAddress(name)}`
    if (!isFields(table)) throw invalid(path, 'expected a table')
    const url = parseHostUrl(name, table['override_path'] === true, path)
    const rule = readRule(table, path, folder, notes)
    const rewrite = await readRewrite(table, path, notes)
    if (rewrite !== undefined) hosts.push({ url, ...rule, ...rewrite })
  }
  const rule = readRule(own, '', folder, notes)
  if (server === undefined || server === '') {
    for (const key of unknownKeys(own)) notes.push(`${joinPath('', key)}: not read here`)
    return { hosts, server: rule, notes }
  }
  if (typeof server !== 'string') throw invalid('server', 'expected a URL')
  const url = parseHostUrl(server, own['override_path'] === true, 'server')
  const rewrite = await readRewrite(own, 'server', notes)
  if (rewrite === undefined) return { hosts, server: { capabilities: BOTH }, notes }
  return { hosts, server: { url, ...rule, ...rewrite }, notes }
}

function unknownKeys(table: Fields): readonly string[] {
  return Object.keys(table).filter((key) => !FIELDS.has(key))
}

/** Undefined: where this host keeps an image is not known, so that it cannot be asked. */
async function readRewrite(
  table: Fields,
  path: string,
  notes: string[],
): Promise<Pick<ServerRule, 'rewrite'> | undefined> {
  const unknown = unknownKeys(table)
  if (unknown.length > 0) {
    const keys = unknown.map((key) => joinPath('', key)).join(', ')
    notes.push(`${path}: left out, since ${keys} is not known here and may mean another image`)
    return undefined
  }
  try {
    const { rewrite } = table
    return rewrite === undefined ? {} : { rewrite: await parseRewrite(rewrite, `${path}.rewrite`) }
  } catch (thrown) {
    if (!(thrown instanceof ResolveError)) throw thrown
    notes.push(`${path}: left out: ${thrown.message}`)
    return undefined
  }
}

function readRule(table: Fields, path: string, folder: string, notes: string[]): ServerRule {
  const at = (key: string): string => (path === '' ? key : `${path}.${key}`)
  const skipVerify = readBoolean(table['skip_verify'], at('skip_verify'))
  readBoolean(table['override_path'], at('override_path'))
  const caFiles = readTexts(table['ca'], at('ca')).map((file) => posix.resolve(folder, file))
  const pairs = readPairs(table['client'], at('client'), folder)
  const headers = readHeaders(table['header'], at('header'))
  if (pairs.length > 1) notes.push(`${at('client')}: only the first certificate is used`)
  const tls: EndpointTls = {
    ...(caFiles.length === 0 ? {} : { caFiles }),
    ...pairs[0],
    ...(skipVerify ? { insecureSkipVerify: true } : {}),
  }
  return {
    capabilities: readCapabilities(table['capabilities'], at('capabilities')),
    ...(Object.keys(tls).length === 0 ? {} : { tls }),
    ...(headers === undefined ? {} : { headers }),
  }
}

/** None written means all of them, as an empty list does. */
function readCapabilities(value: unknown, path: string): readonly Capability[] {
  if (value !== undefined && !Array.isArray(value)) throw invalid(path, 'expected a list')
  const names = readTexts(value, path).map((name) => name.toLowerCase())
  if (names.length === 0) return BOTH
  const unknown = names.find((name) => !Object.hasOwn(CAPABILITIES, name))
  if (unknown !== undefined) throw invalid(path, `${quote(unknown)} is not pull, resolve or push`)
  return BOTH.filter((capability) => names.includes(capability))
}

/** A text stands for a file with certificate and key, a list holds such texts or pairs. */
function readPairs(
  value: unknown,
  path: string,
  folder: string,
): readonly { readonly certFile: string; readonly keyFile: string }[] {
  const items: readonly unknown[] = Array.isArray(value)
    ? value
    : value === undefined
      ? []
      : [value]
  return items.map((item) => {
    const [cert = '', key = '', more] = readTexts(item, path)
    if (cert === '' || more !== undefined) {
      throw invalid(path, 'expected a file, or pairs of a certificate and its key')
    }
    const certFile = posix.resolve(folder, cert)
    return { certFile, keyFile: key === '' ? certFile : posix.resolve(folder, key) }
  })
}

function readHeaders(value: unknown, path: string): Readonly<Record<string, string>> | undefined {
  if (value === undefined) return undefined
  if (!isFields(value)) throw invalid(path, 'expected a table of headers')
  const entries = Object.entries(value)
  if (entries.length > MAX_ITEMS) throw invalid(path, `more than ${MAX_ITEMS} headers`)
  const headers = entries.map(([name, text]): [string, string] => {
    const place = joinPath(path, name)
    if (!HEADER_NAME.test(name)) throw invalid(place, 'not the name of a header')
    if (OWN_HEADERS.test(name)) throw invalid(place, 'cannot be set: it belongs to the connection')
    const line = readTexts(text, place).join(', ')
    if (!HEADER_VALUE.test(line)) throw invalid(place, 'has a value that no header can have')
    return [name.toLowerCase(), line]
  })
  return headers.length === 0 ? undefined : Object.fromEntries(headers)
}

function readTexts(value: unknown, path: string): readonly string[] {
  if (value === undefined) return []
  const texts: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (texts.length > MAX_ITEMS) throw invalid(path, `more than ${MAX_ITEMS} items`)
  return texts.map((text) => {
    if (typeof text !== 'string') throw invalid(path, 'expected text, or a list of it')
    if (text.includes('\0')) throw invalid(path, 'holds a zero character')
    return text
  })
}

function readBoolean(value: unknown, path: string): boolean {
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw invalid(path, 'expected true or false')
}

function invalid(path: string, problem: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', `${path}: ${problem}`)
}

/** Where `server` or a `[host."URL"]` answers. */
type HostUrl = Pick<Endpoint, 'scheme' | 'host' | 'prefix' | 'root'>

const FORM = /^(?<site>(?:[a-z][a-z0-9+.-]*:\/\/)?[^/]*)(?<path>\/[^?#]*)?$/i
const API = '/v2'
const MAX_LENGTH = 1_000
const PATH = /^(?:\/[\w.~!$&'()*+,;=:@%-]+)*$/

/**
 * Reads the URL of a host as containerd does: without a scheme it is https, and `/v2` is added to a
 * path that does not end in it. What lies below `/v2` is the beginning of every repository there
 * (Harbor's `/v2/proxy-docker` with `override_path`), so that images can be pulled from it by name;
 * any other path is the API's root.
 *
 * @param overridePath the path is taken as it is
 * @param place of the URL, for messages
 * @throws ResolveError CONFIG_INVALID
 */
function parseHostUrl(text: string, overridePath: boolean, place: string): HostUrl {
  if (text.length > MAX_LENGTH) {
    throw invalid(place, `longer than ${MAX_LENGTH} characters`)
  }
  const { site = text, path = '' } = FORM.exec(text)?.groups ?? {}
  const { scheme, host } = parseSite(site, place)
  const clean = path === '' ? '' : posix.normalize(path).replace(/\/$/, '')
  if (!PATH.test(clean)) throw invalid(place, 'has a path that no URL can have')
  const root = overridePath || clean.endsWith(API) ? clean : `${clean}${API}`
  const answering = canonicalDomain(host) === DOCKER_HUB ? DOCKER_HUB_HOST : host
  if (root === API) return { scheme, host: answering, prefix: '' }
  const prefix = root.startsWith(`${API}/`) ? root.slice(API.length + 1) : ''
  return prefix !== '' && prefix.split('/').every((part) => COMPONENT.test(part))
    ? { scheme, host: answering, prefix }
    : { scheme, host: answering, prefix: '', root }
}

/** Whether the URL is that of the registry which images of this domain are named after. */
export function isRegistryOf(domain: string, { scheme, host, prefix, root }: HostUrl): boolean {
  if (prefix !== '' || root !== undefined) return false
  const port = scheme === 'http' ? /:80$/ : /:443$/
  const name = (text: string): string => canonicalDomain(text).replace(port, '')
  return name(host) === name(domain)
}

function parseSite(site: string, place: string): Endpoint {
  try {
    return parseAddress(site.includes('://') ? site : `https://${site}`)
  } catch (thrown) {
    throw invalid(place, messageOf(thrown))
  }
}

/** The form that containerd looks for first, since not every file system takes a colon. */
export function hostsFolder(host: string): string {
  return host.replace(/:(\d+)$/, '_$1_')
}

/** The first line of every hosts.toml that leads to ourselves. */
export const OWN_HOSTS_MARK =
  '# Written by `image-resolver containerd-hosts`, which may replace it. Take this line out to keep changes.'

/** Whether a hosts.toml leads to ourselves: read as mirrors, we would be asking ourselves. */
export function isOwnHosts(text: string): boolean {
  return text.startsWith(OWN_HOSTS_MARK)
}
