import type { RegistryEntry } from '../registry/entry.ts'
import { isPublicRegistry } from '../registry/public-registries.ts'
import type { Config } from './config.ts'

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
  // Without a prefix it serves its own images, as everybody expects.
  if (endpoint.prefix === '') return []
  return [`${name} is never asked: strangers can own names at ${endpoint.host}; ${how}`]
}
