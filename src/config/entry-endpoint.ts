import { type Endpoint, type EndpointTls, parseAddress } from '../registry/endpoint.ts'
import type { Findings } from './findings.ts'
import { joinPath } from './path.ts'
import { parseAbsolutePath } from './socket.ts'
import type { WrittenRegistry } from './written.ts'

type Place = Pick<WrittenRegistry, 'address' | 'plainHttp' | (typeof TLS_FIELDS)[number]>

const SCHEME = /^\s*(https?):\/\//i
const TLS_FIELDS = ['ca', 'cert', 'key', 'insecureSkipVerify'] as const

/**
 * Where an entry of `registries:`, or the top-level address, is and how it is spoken to; undefined
 * when its address cannot be.
 */
export function entryEndpoint(
  registry: Place,
  path: string,
  findings: Findings,
): Endpoint | undefined {
  const { address, plainHttp } = registry
  const scheme = address === undefined ? undefined : SCHEME.exec(address)?.[1]?.toLowerCase()
  if (scheme !== undefined && plainHttp !== undefined && plainHttp !== (scheme === 'http')) {
    findings.problem(
      joinPath(path, 'plainHttp'),
      `${plainHttp}, and the address says ${scheme}://: leave one of them out`,
    )
  }
  const wanted = plainHttp === undefined || scheme !== undefined ? '' : schemeOf(plainHttp)
  const endpoint = findings.parse(joinPath(path, 'address'), address, (text) =>
    // An address with another scheme is refused as it is.
    parseAddress(text.includes('://') ? text : `${wanted}${text.trim()}`),
  )
  const tls = entryTls(registry, path, findings)
  if (endpoint === undefined || tls === undefined) return endpoint
  if (endpoint.scheme === 'https') return { ...endpoint, tls }
  for (const field of TLS_FIELDS.filter((name) => registry[name])) {
    findings.warning(joinPath(path, field), 'not used: this registry is asked over http')
  }
  return endpoint
}

function schemeOf(plainHttp: boolean): string {
  return plainHttp ? 'http://' : 'https://'
}

function entryTls(registry: Place, path: string, findings: Findings): EndpointTls | undefined {
  const fileOf = (name: 'ca' | 'cert' | 'key'): string | undefined =>
    findings.parse(joinPath(path, name), registry[name], parseAbsolutePath)
  const caFile = fileOf('ca')
  const certFile = fileOf('cert')
  const keyFile = fileOf('key')
  for (const [field, other] of [
    ['cert', 'key'],
    ['key', 'cert'],
  ] as const) {
    if (registry[field] !== undefined && registry[other] === undefined) {
      findings.problem(joinPath(path, field), `needs ${other} beside it`)
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
