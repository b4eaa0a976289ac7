import type { RegistryEntry } from '../registry/entry.ts'
import type { Repository } from './types.ts'

const BRACKETED = /^\[(?<address>[0-9a-f:.]+)\](?::(?<port>\d+))?$/

/** Where an entry keeps somebody's repository, below `/v2/`: its prefix, then its `path` template. */
export function mirrorRepository({ domain, path }: Repository, entry: RegistryEntry): string {
  const { path: template = '{path}', endpoint } = entry
  const below = template.replace(/\{(domain|path)\}/g, (_whole, field: string) =>
    field === 'domain' ? domainComponent(domain) : path,
  )
  return endpoint.prefix === '' ? below : `${endpoint.prefix}/${below}`
}

/**
 * A domain as one component of a path, which has no colons. `hub.corp:5000` becomes
 * `hub.corp_5000`, which no domain is; `[fd00::1]:5000` becomes `fd00__1-5000`, with a 0 where a
 * component must not begin or end with a separator.
 */
export function domainComponent(domain: string): string {
  const name = domain.toLowerCase()
  const { address, port } = BRACKETED.exec(name)?.groups ?? {}
  if (address === undefined) return name.replace(':', '_')
  const words = address.replaceAll(':', '_').replace(/_{3,}/g, '__')
  const component = words.replace(/^_/, '0_').replace(/_$/, '_0')
  return port === undefined ? component : `${component}-${port}`
}
