import { dump } from 'js-yaml'
import { ConfigFile } from '../../api/v1/config.ts'
import { SharedStoreFields } from '../../api/v1/config-registry.ts'
import type { ObjectSchema, Schema } from '../../api/v1/schema.ts'
import { fieldsOf } from '../json.ts'
import { endpointUrl } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Config, ResolverEntry } from './config.ts'
import { filledName } from './schema.ts'
import { formatDuration } from './values.ts'

/** Stands for users too: some registries take a token as the user. */
const HIDDEN = '***'

/**
 * The effective configuration as a file that says everything, in the order of the schema. It
 * loads again to the same configuration, but for the secrets, which are hidden. What came from
 * `hostsDir` and `portoshim` follows as comments.
 */
export function printConfig(config: Config): string {
  const offline = config.registries.find((entry) => entry.offline)
  const listed = config.registries.filter((entry) => !entry.offline && entry.source === undefined)
  const fields = {
    ...written(ConfigFile, config),
    ...(offline === undefined ? {} : offlineFields(offline)),
    cache: { ...written(ConfigFile.properties.cache, config.cache), shared: sharedFields(config) },
    registries: listed.map(listedFields),
    resolvers: config.resolvers.map(resolverFields),
  }
  return `${asYaml(fields)}${includesComment(config)}`
}

/** What the filled fields of a schema were written as. */
function written(schema: ObjectSchema, fields: object): object {
  const values = fieldsOf(fields)
  const texts = Object.entries(schema.properties).map(([name, field]) => [
    name,
    writtenValue(field, values[filledName(name, field)]),
  ])
  return Object.fromEntries(texts)
}

function writtenValue(schema: Schema, value: unknown): unknown {
  if (value === undefined) return undefined
  if (schema.type === 'object') return written(schema, fieldsOf(value))
  if (schema.type !== 'string') return value
  switch (schema.format) {
    case 'duration':
      return formatDuration(Number(value))
    case 'fileUrl':
      return `file:${value}`
    case 'proxy':
      return hideProxySecrets(String(value))
    default:
      return schema.writeOnly ? HIDDEN : value
  }
}

/** Fields without a value are left out. */
function asYaml(fields: object): string {
  return dump(fields, { lineWidth: -1, noRefs: true, skipInvalid: true })
}

function offlineFields({ endpoint, credentials, priority }: RegistryEntry): object {
  return {
    address: addressOf(endpoint),
    auth: credentials === undefined ? undefined : `${HIDDEN}:${HIDDEN}`,
    ...tlsFields(endpoint),
    offlinePriority: priority,
  }
}

function tlsFields({ tls = {} }: RegistryEntry['endpoint']): object {
  const { caFiles, certFile, keyFile, insecureSkipVerify } = tls
  return { ca: caFiles?.[0], cert: certFile, key: keyFile, insecureSkipVerify }
}

function listedFields(entry: RegistryEntry): object {
  const { endpoint, credentials, credentialFiles: files } = entry
  return {
    address: addressOf(endpoint),
    auth: credentials?.kind === 'basic' ? `${HIDDEN}:${HIDDEN}` : undefined,
    username: files?.username === undefined ? undefined : HIDDEN,
    passwordFile: files?.passwordFile,
    identityToken: credentials?.kind === 'identityToken' ? HIDDEN : undefined,
    tokenFile: files?.tokenFile,
    priority: entry.priority,
    upstreams: entry.upstreams,
    path: entry.path,
    capabilities: entry.capabilities,
    trusted: entry.trusted,
    ...tlsFields(endpoint),
  }
}

function sharedFields({ cache: { shared } }: Config): object | undefined {
  if (shared === undefined) return undefined
  const { addresses, username } = shared
  return {
    ...written(SharedStoreFields, shared),
    username: username === undefined ? undefined : HIDDEN,
    addresses: addresses.length === 0 ? undefined : addresses,
  }
}

function resolverFields({ endpoint, tokenFile }: ResolverEntry): object {
  return { url: addressOf(endpoint), ca: endpoint.tls?.caFiles?.[0], tokenFile }
}

function addressOf(endpoint: RegistryEntry['endpoint']): string {
  const { prefix } = endpoint
  return `${endpointUrl(endpoint)}${prefix === '' ? '' : `/${prefix}`}`
}

function includesComment({ registries, pauseImage }: Config): string {
  const lines = registries
    .filter((entry) => entry.source !== undefined)
    .map((entry) => {
      const { name, source, priority, upstreams = [] } = entry
      return `of ${source}: ${name}, priority ${priority}, for ${upstreams.join(', ') || 'every domain'}`
    })
  if (pauseImage !== undefined) lines.push(`of portoshim: the pause image ${pauseImage}`)
  return lines.map((line) => `# ${line}\n`).join('')
}

/** The URL of a proxy with `***` for its user and password. */
function hideProxySecrets(proxy: string): string {
  const url = new URL(proxy)
  if (url.username !== '') url.username = '***'
  if (url.password !== '') url.password = '***'
  return url.href.slice(0, -1)
}
