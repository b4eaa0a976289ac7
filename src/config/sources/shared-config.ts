import { type Endpoint, endpointKey, isLoopbackHost } from '../../registry/endpoint.ts'
import type { RegistryEntry } from '../../registry/entry.ts'
import { type DecodedConfig, decodeConfig } from '../decode.ts'
import { type Diagnostics, joinPath } from '../diagnostics.ts'
import { isEmpty, type YamlEntry, type YamlNode } from '../yaml.ts'

type YamlMap = Extract<YamlNode, { readonly kind: 'map' }>

/** What the fields of an image-cri-shim ConfigMap may say; none of them names a file of the node. */
const SHARED: ReadonlySet<string> = new Set([
  'address',
  'auth',
  'offlinePriority',
  'registries',
  'mirrorsOnly',
  'force',
  'debug',
  'timeout',
  'reloadInterval',
  'cache',
])
const SHARED_OF_REGISTRY: ReadonlySet<string> = new Set([
  'address',
  'auth',
  'username',
  'password',
  'identityToken',
  'priority',
  'upstreams',
  'path',
  'capabilities',
  'trusted',
  'insecureSkipVerify',
  'plainHttp',
])

/**
 * Reads the `registries.yaml` of image-cri-shim's ConfigMap (labring/sealos, configmap_sync.go):
 * `sealos:` with address and auth is the offline registry, `auth` is a user and a password. What
 * would have the node read a file, or change where it listens, is refused: who may write the
 * ConfigMap is not root on every node.
 */
export function readShared(root: YamlNode | undefined, diagnostics: Diagnostics): DecodedConfig {
  if (root === undefined || root.kind !== 'map') return decodeConfig(root, diagnostics)
  const entries = root.entries.flatMap((entry): readonly YamlEntry[] => {
    const { key, line, value } = entry
    diagnostics.place(key, line)
    // It is the version of the form, not of CRI.
    if (key === 'version' || isEmpty(value)) return []
    if (key === 'sealos') return value.kind === 'map' ? offline(value, diagnostics) : [entry]
    if (!SHARED.has(key)) {
      diagnostics.problem(key, 'not read from a ConfigMap; write it in the file of the node')
      return []
    }
    if (key === 'registries' && value.kind === 'list') {
      const items = value.items.map((item, index) =>
        item.kind === 'map' ? registry(item, joinPath(key, index), diagnostics) : item,
      )
      // As image-cri-shim has it, an empty list says nothing.
      return items.length === 0 ? [] : [{ ...entry, value: { ...value, items } }]
    }
    return [entry]
  })
  return decodeConfig({ ...root, entries }, diagnostics)
}

/**
 * The file, with what the ConfigMap says in its place: `registries` as a whole, `cache` field by field.
 * Credentials and TLS settings that the file has for its `address` are for no other address.
 */
export function merged(own: DecodedConfig, shared: DecodedConfig): DecodedConfig {
  const { auth, ca, cert, key, insecureSkipVerify, plainHttp, ...rest } = own
  const isSame = shared.address === undefined || shared.address === own.address
  const { cache } = shared
  return {
    ...(isSame ? own : rest),
    ...shared,
    ...(cache === undefined ? {} : { cache: { ...own.cache, ...cache } }),
  }
}

/**
 * The registries of both, where those that only the ConfigMap has asked in a way that anybody on the way can
 * listen to get nothing of the node's keychain.
 *
 * @param own those of the file alone
 */
export function guarded(
  registries: readonly RegistryEntry[],
  own: readonly RegistryEntry[],
): readonly RegistryEntry[] {
  const known = new Set(own.map(({ endpoint }) => endpointKey(endpoint)))
  return registries.map((entry) => {
    const isSafe = !isOpen(entry.endpoint) || known.has(endpointKey(entry.endpoint))
    return isSafe ? entry : { ...entry, ownSecretsOnly: true }
  })
}

function isOpen({ scheme, host, tls }: Endpoint): boolean {
  const isUnverified = scheme === 'http' || tls?.insecureSkipVerify === true
  return isUnverified && !isLoopbackHost(host)
}

function offline(sealos: YamlMap, diagnostics: Diagnostics): readonly YamlEntry[] {
  return withAuth(sealos, new Set(['address']), 'sealos', diagnostics).entries
}

function registry(item: YamlMap, path: string, diagnostics: Diagnostics): YamlMap {
  return withAuth(item, SHARED_OF_REGISTRY, path, diagnostics)
}

/** `auth: {username, password}` becomes `auth: username:password`, and nothing when both are empty. */
function withAuth(
  map: YamlMap,
  known: ReadonlySet<string>,
  path: string,
  diagnostics: Diagnostics,
): YamlMap {
  const entries = map.entries.flatMap((entry): readonly YamlEntry[] => {
    const { key, line, value } = entry
    diagnostics.place(joinPath(path, key), line)
    if (key === 'auth' && value.kind === 'map') {
      const text = `${textOf(value, 'username')}:${textOf(value, 'password')}`
      return text === ':' ? [] : [{ ...entry, value: { kind: 'text', text, quoted: true, line } }]
    }
    if (key === 'auth' || known.has(key)) return [entry]
    diagnostics.problem(joinPath(path, key), 'not read from a ConfigMap')
    return []
  })
  return { ...map, entries }
}

function textOf({ entries }: YamlMap, key: string): string {
  const value = entries.find((entry) => entry.key === key)?.value
  return value?.kind === 'text' && !isEmpty(value) ? value.text.trim() : ''
}
