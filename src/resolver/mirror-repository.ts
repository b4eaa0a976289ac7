import { COMPONENT, PATH_MAX_LENGTH } from '../reference/grammar.ts'
import type { RegistryEntry, RepositoryRewrite } from '../registry/entry.ts'
import type { Repository } from './types.ts'

const BRACKETED = /^\[(?<address>[0-9a-f:.]+)\](?::(?<port>\d+))?$/

/**
 * Where an entry keeps a repository, below `/v2/`: its prefix, then its `path` template or what its
 * `rewrite` makes of the path. Undefined: nowhere, since that is not the name of a repository.
 */
export function mirrorRepository(
  { domain, path }: Repository,
  entry: RegistryEntry,
): string | undefined {
  const { path: template = '{path}', endpoint, rewrite } = entry
  if (rewrite !== undefined) return rewritten(path, rewrite, endpoint.prefix)
  const below = template.replace(/\{(domain|path)\}/g, (_whole, field: string) =>
    field === 'domain' ? domainComponent(domain) : path,
  )
  return belowPrefix(endpoint.prefix, below)
}

function rewritten(path: string, rewrite: RepositoryRewrite, prefix: string): string | undefined {
  const other = rewrite.apply(path)
  const repository = other === undefined ? undefined : belowPrefix(prefix, other)
  if (repository === undefined || repository.length > PATH_MAX_LENGTH) return undefined
  return repository.split('/').every((part) => COMPONENT.test(part)) ? repository : undefined
}

function belowPrefix(prefix: string, path: string): string {
  return prefix === '' ? path : `${prefix}/${path}`
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
