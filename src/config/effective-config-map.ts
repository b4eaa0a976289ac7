import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import type { ConfigMapConfig } from './config.ts'
import type { Findings } from './findings.ts'
import { parseAbsolutePath } from './socket.ts'
import type { Written } from './written.ts'

/** DNS names, as Kubernetes has them for namespaces and ConfigMaps, and a key of its data. */
const NAME = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)$/
const KEY = /^[\w.-]{1,253}$/

/** What holds of `configMap:`. */
export function effectiveConfigMap(
  written: Written['configMap'],
  findings: Findings,
): ConfigMapConfig | undefined {
  if (written === undefined) return undefined
  const { name = CONFIG_DEFAULTS.configMap.name, key = CONFIG_DEFAULTS.configMap.key } = written
  const place = findings.parse('configMap.name', name, parseName)
  const field = findings.parse('configMap.key', key, parseKey)
  const kubeconfig = findings.parse('configMap.kubeconfig', written.kubeconfig, parseAbsolutePath)
  return place === undefined || field === undefined
    ? undefined
    : { ...place, key: field, kubeconfig }
}

function parseName(text: string): Pick<ConfigMapConfig, 'namespace' | 'name'> {
  const [, namespace, name] = NAME.exec(text) ?? []
  if (namespace !== undefined && name !== undefined) return { namespace, name }
  throw refusal(`${quote(text)} is not NAMESPACE/NAME, as in ${CONFIG_DEFAULTS.configMap.name}`)
}

function parseKey(text: string): string {
  if (KEY.test(text)) return text
  throw refusal(`${quote(text)} is no key of a ConfigMap, as ${CONFIG_DEFAULTS.configMap.key} is`)
}

function refusal(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}
