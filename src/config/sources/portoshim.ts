import { posix } from 'node:path'
import type { Decoded, ObjectSchema } from '../../../api/v1/schema.ts'
import { parseReference } from '../../reference/reference.ts'
import { type Credentials, parseUserPassword } from '../../registry/credentials.ts'
import { endpointName, parseAddress } from '../../registry/endpoint.ts'
import type { RegistryEntry } from '../../registry/entry.ts'
import { canonicalDomain } from '../../registry/public-registries.ts'
import { Diagnostics, joinPath, refusal, Section } from '../diagnostics.ts'
import { decode } from '../schema.ts'
import { parseSecretPath } from '../values.ts'
import { parseYaml } from '../yaml.ts'

/** What an existing portoshim.yaml says about registries. */
export interface Portoshim {
  /** In the file's order, each for its own domain alone, with the priority 0 that origins have. */
  readonly entries: readonly RegistryEntry[]
  /** `Images.PauseImage` as written. */
  readonly pauseImage: string | undefined
  readonly warnings: readonly string[]
}

/** To have credentials for a registry is no reason to ask it before its mirrors. */
const ORIGIN_PRIORITY = 0
const FILE_SCHEME = 'file:'
const TEXT = { type: 'string', orNumber: true } as const

/** What is read of Portoshim's own configuration; the rest of it is not about registries. */
const SCHEMA = {
  type: 'object',
  properties: {
    Images: {
      type: 'object',
      properties: {
        PauseImage: TEXT,
        Registries: {
          type: 'array',
          maxItems: 256,
          items: {
            type: 'object',
            required: ['Host'],
            properties: { Host: TEXT, AuthToken: TEXT, AuthPath: TEXT, AuthService: TEXT },
          },
        },
      },
    },
  },
} as const satisfies ObjectSchema

type Registry = Decoded<
  (typeof SCHEMA)['properties']['Images']['properties']['Registries']['items']
>

/**
 * Reads `Images.Registries` and `Images.PauseImage` of a portoshim.yaml.
 *
 * @param file how messages call it
 * @throws ConfigError with every mistake in these fields; never a token
 */
export function parsePortoshim(text: string, file = 'portoshim.yaml'): Portoshim {
  const { root, problems } = parseYaml(text)
  const ours = problems.filter(({ path }) => path === '' || /^Images\b/.test(path))
  const diagnostics = new Diagnostics(ours)
  const whole = new Section(decode(SCHEMA, root, diagnostics), '', diagnostics)
  const images = whole.section('Images')
  images.parse('PauseImage', parseReference)
  const entries = registriesOf(images.fields.Registries ?? [], diagnostics)
  diagnostics.check(file)
  return { entries, pauseImage: images.fields.PauseImage, warnings: diagnostics.warnings }
}

function registriesOf(
  registries: readonly (Registry | undefined)[],
  diagnostics: Diagnostics,
): readonly RegistryEntry[] {
  const found = new Map<string, { readonly entry: RegistryEntry; readonly path: string }>()
  for (const [index, registry] of registries.entries()) {
    const path = joinPath('Images.Registries', index)
    const entry = registry && registryOf(new Section(registry, path, diagnostics))
    if (entry === undefined) continue
    const domain = canonicalDomain(entry.endpoint.host)
    const earlier = found.get(domain)
    if (earlier !== undefined) {
      const why = `${path} has the same host, and the last one counts`
      diagnostics.warning(earlier.path, `left out: ${why}`)
    }
    found.set(domain, { entry, path })
  }
  return [...found.values()].map(({ entry }) => entry)
}

/** These entries are credentials for hosts, not mirrors: each serves its own domain and no other. */
function registryOf(at: Section<Registry>): RegistryEntry | undefined {
  const { AuthPath: authPath, AuthService: service, AuthToken: token } = at.fields
  const endpoint = at.parse('Host', parseHost)
  const secret = secretOf(at)
  if (authPath !== undefined || service !== undefined) {
    const isUsed = token === undefined && secret.credentials !== undefined
    const what = isUsed ? 'only the user and password in it are used' : 'not used'
    const name = authPath === undefined ? 'AuthService' : 'AuthPath'
    at.warning(name, `${what}: the registry itself names its token service`)
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
function secretOf(at: Section<Registry>): Pick<RegistryEntry, 'credentials' | 'credentialFiles'> {
  const { AuthToken: token } = at.fields
  if (token?.startsWith(FILE_SCHEME)) {
    const tokenFile = at.parse('AuthToken', parseTokenPath)
    return tokenFile ? { credentialFiles: { tokenFile, tokenKind: 'registryToken' } } : {}
  }
  const credentials =
    token === undefined
      ? at.parse('AuthPath', credentialsOfUrl)
      : at.parse('AuthToken', credentialsOfToken)
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

/** @param text with `file:` before the path */
function parseTokenPath(text: string): string {
  return posix.normalize(parseSecretPath(text.slice(FILE_SCHEME.length))).replace(/^\/+/, '/')
}
