import type { RegistryEntry } from '../registry/entry.ts'
import { canonicalDomain, isPublicRegistry } from '../registry/public-registries.ts'
import type { Config } from './config.ts'

/** No address has this sign, so that a numbered name is never an address. */
const NUMBER = /#\d+$/

/**
 * Registries as they are asked: by priority, then the offline one, then by name, then as given.
 * Where several have one name, all but the first get a number.
 */
export function inAskingOrder(entries: readonly RegistryEntry[]): readonly RegistryEntry[] {
  const counts = new Map<string, number>()
  return entries
    .map((entry) => ({ ...entry, name: plainName(entry) }))
    .sort(byAskingOrder)
    .map((entry) => {
      const count = (counts.get(entry.name) ?? 0) + 1
      counts.set(entry.name, count)
      return count === 1 ? entry : { ...entry, name: `${entry.name}#${count}` }
    })
}

/** `host[:port][/prefix]`, without the number that may stand behind it. */
function plainName({ name }: RegistryEntry): string {
  return name.replace(NUMBER, '')
}

/**
 * The same for entries that serve the same from the same place. Two names of Docker Hub are one
 * registry; two prefixes on one host are two, and so are two sets of upstreams.
 */
export function servesKey(entry: RegistryEntry): string {
  const { endpoint, upstreams, exceptUpstreams = [], path = '{path}', rewrite } = entry
  const { host, prefix, root = '' } = endpoint
  const served = upstreams === undefined ? undefined : [...upstreams].sort()
  const kept = [prefix, root, path, rewrite?.rules]
  return JSON.stringify([canonicalDomain(host), ...kept, served, exceptUpstreams])
}

function byAskingOrder(a: RegistryEntry, b: RegistryEntry): number {
  if (a.priority !== b.priority) return b.priority - a.priority
  if (a.offline !== b.offline) return a.offline ? -1 : 1
  if (a.name === b.name) return 0
  return a.name < b.name ? -1 : 1
}

/**
 * Which registries are asked for the images of every domain, and which for none at all: both follow
 * from what is not written.
 *
 * @returns one line for each entry without `upstreams` of which that is so
 */
export function scopeNotes({ registries }: Pick<Config, 'registries'>): readonly string[] {
  return registries.filter(({ upstreams }) => upstreams === undefined).flatMap(scopeNote)
}

function scopeNote(entry: RegistryEntry): readonly string[] {
  const { name, endpoint, exceptUpstreams = [], offline } = entry
  const how = offline
    ? 'an entry of `registries` could say whose images it has, by `upstreams`'
    : '`upstreams` says whose images it has'
  if (!isPublicRegistry(endpoint.host)) {
    const rest = exceptUpstreams.length === 0 ? '' : ` but ${exceptUpstreams.join(', ')}`
    return [`${name} is asked for the images of every domain${rest}: ${how}`]
  }
  // Without a prefix it serves its own images, which needs no note.
  if (endpoint.prefix === '') return []
  return [`${name} is never asked: anyone can own names at ${endpoint.host}; ${how}`]
}
