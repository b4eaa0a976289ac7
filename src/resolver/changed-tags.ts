import { parseNormalized } from '../reference/reference.ts'
import { candidatesFor } from './candidates.ts'
import type { Registries } from './types.ts'

/** A tag of which a registry says that it points at something else now, or is gone. */
export interface ChangedTag {
  /** `host[:port]` of the registry as it calls itself; undefined: it does not say. */
  readonly host: string | undefined
  /** Below `/v2/` there. */
  readonly repository: string
  /** undefined: any tag of that repository. */
  readonly tag: string | undefined
}

/**
 * Which references lead to changed tags: at their origin, or at any configured registry that serves them. A host that
 * is neither configured nor a well-known registry may be another name of one that is, as the name of a service inside
 * a cluster: then the repository alone decides.
 *
 * @returns a function of a normalised reference
 */
export function changedBy(
  changes: readonly ChangedTag[],
  registries: Registries,
): (reference: string) => boolean {
  const hostOf = (name: string): string => registries.origin(name).endpoint.host.toLowerCase()
  const isKnown = (host: string): boolean =>
    registries.origin(host).configured || registries.isPublic(host)
  const known = changes.map(({ host, repository, tag }) => ({
    host: host !== undefined && isKnown(host) ? hostOf(host) : undefined,
    repository,
    tag,
  }))
  const tags = new Set(known.map(({ tag }) => tag))
  return (text) => {
    // Quick, since the cache may hold a million of them.
    if (!tags.has(undefined) && !tags.has(text.slice(text.lastIndexOf(':') + 1))) return false
    const reference = parseNormalized(text)
    if (reference.digest !== undefined) return false
    const places = [
      { host: hostOf(reference.domain), repository: reference.path },
      ...candidatesFor(reference, registries, undefined).map(({ endpoint, repository }) => ({
        host: hostOf(endpoint.host),
        repository,
      })),
    ]
    return known.some(
      ({ host, repository, tag }) =>
        (tag === undefined || tag === reference.tag) &&
        places.some(
          (place) => place.repository === repository && (host === undefined || place.host === host),
        ),
    )
  }
}
