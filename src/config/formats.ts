import { isIP } from 'node:net'
import type { Schema, TextFormat, TextSchema } from '../../api/v1/schema.ts'
import { quote } from '../reference/quote.ts'
import { refusal } from './diagnostics.ts'
import {
  parseAbsolutePath,
  parseListen,
  parsePathTemplate,
  parseProxy,
  parseRealm,
  parseSecretPath,
  parseSocketPath,
  parseToken,
  parseUpstream,
  within,
} from './values.ts'

/** A text as the format of its field is read. @throws ResolveError CONFIG_INVALID */
export function readText(schema: Schema, text: string): number | string {
  const { format, range } = schema as TextSchema
  const reader = range === undefined ? format && READERS[format] : within(range)
  return reader === undefined ? text : reader(text)
}

const READERS: Readonly<Partial<Record<TextFormat, (text: string) => string>>> = {
  socket: parseSocketPath,
  path: parseAbsolutePath,
  file: parseAbsolutePath,
  folder: parseAbsolutePath,
  secretFile: parseSecretPath,
  fileUrl: parseFileUrl,
  upstream: parseUpstream,
  pathTemplate: parsePathTemplate,
  network: parseNetwork,
  realm: parseRealm,
  proxy: parseProxy,
  token: parseToken,
  listen: (text) => {
    parseListen(text)
    return text
  },
  configMapName: (text) => {
    if (CONFIG_MAP.test(text)) return text
    throw refusal(`${quote(text)} is not NAMESPACE/NAME, as in kube-system/image-cri-shim`)
  },
  configMapKey: (text) => {
    if (KEY.test(text)) return text
    throw refusal(`${quote(text)} is no key of a ConfigMap, as registries.yaml is`)
  },
}

/** DNS names, as Kubernetes has them for namespaces and ConfigMaps, and a key of its data. */
const CONFIG_MAP = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const KEY = /^[\w.-]{1,253}$/

function parseFileUrl(text: string): string {
  if (!text.startsWith('file:')) {
    throw refusal('write file:/path of the file that holds it: a key does not stand in this file')
  }
  return parseSecretPath(text.slice('file:'.length))
}

function parseNetwork(text: string): string {
  const [, host = '', prefix] = /^([^/]{1,253})(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const bits = { 4: 32, 6: 128 }[isIP(host)]
  const isNetwork = bits !== undefined && Number(prefix ?? 0) <= bits
  if (isNetwork || (prefix === undefined && /^[\w.-]+$/.test(host))) return text
  throw refusal(`${quote(text)} is no host, no IP address and no network as 10.0.0.0/8`)
}
