import { posix } from 'node:path'
import { parseReference } from '../../reference/reference.ts'
import { type Credentials, parseUserPassword } from '../../registry/credentials.ts'
import { endpointName, parseAddress } from '../../registry/endpoint.ts'
import type { RegistryEntry } from '../../registry/entry.ts'
import { canonicalDomain } from '../../registry/public-registries.ts'
import { parseSecretPath } from '../addresses.ts'
import { ConfigError, Diagnostics, joinPath, refusal } from '../diagnostics.ts'
import { isEmpty, parseYaml, type YamlNode } from '../yaml.ts'

/** What an existing portoshim.yaml says about registries. */
export interface Portoshim {
  /** In the file's order, each for its own domain alone, with the priority 0 that origins have. */
  readonly entries: readonly RegistryEntry[]
  /** `Images.PauseImage` as written. */
  readonly pauseImage: string | undefined
  readonly warnings: readonly string[]
}

type YamlMap = Extract<YamlNode, { readonly kind: 'map' }>

/** To have credentials for a registry is no reason to ask it before its mirrors. */
const ORIGIN_PRIORITY = 0
const FILE_SCHEME = 'file:'
const REGISTRIES = 'Images.Registries'
const MAX_REGISTRIES = 256

/**
 * Reads `Images.Registries` and `Images.PauseImage` of Portoshim's own configuration; the rest of it
 * is not about registries, and not looked at.
 *
 * @param file how messages call it
 * @throws ConfigError with every mistake in these fields; never a token
 */
export function parsePortoshim(text: string, file = 'portoshim.yaml'): Portoshim {
  const { root, problems } = parseYaml(text)
  const diagnostics = new Diagnostics()
  const images = mapOf(
    member(mapOf(root, '', diagnostics), 'Images', 'Images', diagnostics),
    'Images',
    diagnostics,
  )
  const pauseImage = textOf(images, 'PauseImage', 'Images', diagnostics)
  diagnostics.parse('Images.PauseImage', pauseImage, checkReference)
  const entries = registriesOf(images, diagnostics)
  const ours = problems.filter(({ path }) => path === '' || /^Images\b/.test(path))
  const all = [...ours, ...diagnostics.problems]
  if (all.length > 0) throw new ConfigError(file, all)
  return { entries, pauseImage, warnings: diagnostics.warnings }
}

function registriesOf(
  images: YamlMap | undefined,
  diagnostics: Diagnostics,
): readonly RegistryEntry[] {
  const list = member(images, 'Registries', REGISTRIES, diagnostics)
  if (list === undefined) return []
  if (list.kind !== 'list' || list.items.length > MAX_REGISTRIES) {
    diagnostics.problem(REGISTRIES, `expected a list of at most ${MAX_REGISTRIES} registries`)
    return []
  }
  const found = new Map<string, { readonly entry: RegistryEntry; readonly path: string }>()
  for (const [index, node] of list.items.entries()) {
    const path = joinPath(REGISTRIES, index)
    diagnostics.place(path, node.line)
    const entry = registryOf(node, path, diagnostics)
    if (entry === undefined) continue
    const domain = canonicalDomain(entry.endpoint.host)
    const earlier = found.get(domain)
    if (earlier !== undefined) {
      diagnostics.warning(
        earlier.path,
        `left out: ${path} has the same host, and the last one counts`,
      )
    }
    found.set(domain, { entry, path })
  }
  return [...found.values()].map(({ entry }) => entry)
}

/** These entries are credentials for hosts, not mirrors: each serves its own domain and no other. */
function registryOf(
  node: YamlNode,
  path: string,
  diagnostics: Diagnostics,
): RegistryEntry | undefined {
  const fields = mapOf(node, path, diagnostics)
  if (fields === undefined) return undefined
  const host = textOf(fields, 'Host', path, diagnostics)
  const endpoint = diagnostics.parse(joinPath(path, 'Host'), host, parseHost)
  const token = textOf(fields, 'AuthToken', path, diagnostics)
  const authPath = textOf(fields, 'AuthPath', path, diagnostics)
  const service = textOf(fields, 'AuthService', path, diagnostics)
  if (host === undefined)
    diagnostics.problem(joinPath(path, 'Host'), 'required, and not there', path)
  const secret = secretOf({ token, authPath }, path, diagnostics)
  if (authPath !== undefined || service !== undefined) {
    const name = authPath === undefined ? 'AuthService' : 'AuthPath'
    const isUsed = token === undefined && secret.credentials !== undefined
    diagnostics.warning(
      joinPath(path, name),
      `${isUsed ? 'only the user and password in it are used' : 'not used'}: the registry itself names its token service`,
    )
  }
  if (endpoint === undefined) return undefined
  return {
    name: endpointName(endpoint),
    endpoint,
    priority: ORIGIN_PRIORITY,
    offline: false,
    upstreams: [canonicalDomain(endpoint.host)],
    ...secret,
  }
}

/** Portoshim's own order: a token, else what AuthPath carries for the token service. */
function secretOf(
  {
    token,
    authPath,
  }: { readonly token?: string | undefined; readonly authPath?: string | undefined },
  path: string,
  diagnostics: Diagnostics,
): Pick<RegistryEntry, 'credentials' | 'credentialFiles'> {
  const place = joinPath(path, 'AuthToken')
  if (token?.startsWith(FILE_SCHEME)) {
    const tokenFile = diagnostics.parse(place, token.slice(FILE_SCHEME.length), parseTokenPath)
    return tokenFile === undefined
      ? {}
      : { credentialFiles: { tokenFile, tokenKind: 'registryToken' } }
  }
  const credentials =
    token === undefined
      ? diagnostics.parse(joinPath(path, 'AuthPath'), authPath, credentialsOfUrl)
      : diagnostics.parse(place, token, credentialsOfToken)
  return credentials === undefined ? {} : { credentials }
}

/** Porto sends it as the Authorization header, so that a scheme may stand before the token. */
function credentialsOfToken(text: string): Credentials {
  const { scheme, rest = '' } = /^(?<scheme>[a-z]+)\s+(?<rest>\S+)$/i.exec(text)?.groups ?? {}
  if (scheme?.toLowerCase() === 'basic') {
    return parseUserPassword(Buffer.from(rest, 'base64').toString())
  }
  const token = scheme?.toLowerCase() === 'bearer' ? rest : text
  if (/^[!-~]+$/.test(token)) return { kind: 'registryToken', token }
  throw refusal('not a token: write it alone, or after `Bearer `, or `file:` and a path')
}

function credentialsOfUrl(text: string): Credentials | undefined {
  const url = text.includes('://') ? text : `https://${text}`
  if (!URL.canParse(url)) return undefined
  const { username, password } = new URL(url)
  if (username === '') return undefined
  return { kind: 'basic', username: decoded(username), password: decoded(password) }
}

/** A lone `%` is a character like any other in a password that is not percent-encoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Porto asks every registry over https, those on loopback too. */
function parseHost(host: string): RegistryEntry['endpoint'] {
  return parseAddress(host.includes('://') ? host : `https://${host}`)
}

function parseTokenPath(path: string): string {
  return posix.normalize(parseSecretPath(path)).replace(/^\/+/, '/')
}

function checkReference(image: string): void {
  parseReference(image)
}

function textOf(
  map: YamlMap | undefined,
  key: string,
  path: string,
  diagnostics: Diagnostics,
): string | undefined {
  const field = joinPath(path, key)
  const value = member(map, key, field, diagnostics)
  if (value === undefined) return undefined
  if (value.kind === 'text') return value.text.trim() || undefined
  diagnostics.problem(field, 'expected text, got a list or fields')
  return undefined
}

function member(
  map: YamlMap | undefined,
  key: string,
  field: string,
  diagnostics: Diagnostics,
): YamlNode | undefined {
  const entry = map?.entries.find((each) => each.key === key)
  if (entry === undefined) return undefined
  diagnostics.place(field, entry.line)
  return isEmpty(entry.value) ? undefined : entry.value
}

function mapOf(
  node: YamlNode | undefined,
  path: string,
  diagnostics: Diagnostics,
): YamlMap | undefined {
  if (node === undefined || node.kind === 'map') return node
  diagnostics.problem(path, 'expected fields with values')
  return undefined
}
