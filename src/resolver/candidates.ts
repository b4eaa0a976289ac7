import { type Reference, repositoryName } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Capability, RegistryEntry } from '../registry/entry.ts'
import { mirrorRepository } from './mirror-repository.ts'
import type { Candidate, Origin, Registries } from './types.ts'

/** Below every configured registry, whatever its priority. */
const UNCONFIGURED_PRIORITY = 0

/**
 * Every place where the reference may be found, in the order of asking: the configured registries
 * that serve it, then its origin, unless that is configured and so has a place of its own, or
 * `mirrorsOnly` rules it out.
 *
 * @param credentials the caller's own; they go to the origin and nowhere else, and not there if it gets none
 */
export function candidatesFor(
  reference: Reference,
  registries: Registries,
  credentials: Credentials | undefined,
): readonly Candidate[] {
  const origin = registries.origin(reference.domain)
  const candidates = registries.serving(reference).flatMap((entry) => {
    const candidate =
      entry === origin.entry
        ? originCandidate(reference, origin, credentials)
        : mirrorCandidate(reference, entry)
    if (candidate === undefined) return []
    return registries.isPublic(entry.endpoint.host) ? candidate : { ...candidate, isPrivate: true }
  })
  const settled = candidates.some((candidate) => candidate.origin)
  if (settled || registries.mirrorsOnly(reference) !== undefined) return candidates
  return [...candidates, originCandidate(reference, origin, credentials)]
}

/** Whether it may say what a tag points at; else it is asked by digest alone. */
export function resolvesTags(candidate: Candidate): boolean {
  return may(candidate, 'resolve')
}

/** Whether anybody may be sent there to pull. */
export function isPullable(candidate: Candidate): boolean {
  return may(candidate, 'pull')
}

/** Whether it is used only with the consent of the origin (KEP-2535). The origin needs nobody's. */
export function needsConsent({ entry, origin }: Candidate): boolean {
  return entry?.trusted === false && !origin
}

/** What an entry may do for its upstreams says nothing of the images that are its own. */
function may({ entry, origin, registry }: Candidate, what: Capability): boolean {
  const { capabilities, upstreams } = entry ?? {}
  if (capabilities === undefined) return true
  const isItself = origin && upstreams !== undefined && !upstreams.includes(registry)
  return isItself || capabilities.includes(what)
}

function mirrorCandidate(reference: Reference, entry: RegistryEntry): Candidate | undefined {
  const repository = mirrorRepository(reference, entry)
  if (repository === undefined) return undefined
  return {
    registry: entry.name,
    endpoint: entry.endpoint,
    repository,
    pullName: `${entry.endpoint.host}/${repository}`,
    priority: entry.priority,
    origin: false,
    configured: true,
    entry,
    // As containerd does for the hosts of its hosts.toml.
    ...(entry.source === 'hostsDir' && { namespace: reference.domain }),
  }
}

function originCandidate(
  reference: Reference,
  { endpoint, entry, configured }: Origin,
  credentials: Credentials | undefined,
): Candidate {
  const isForIt = credentials !== undefined && entry?.ownSecretsOnly !== true
  return {
    registry: reference.domain,
    endpoint,
    repository: reference.path,
    pullName: repositoryName(reference),
    priority: entry?.priority ?? UNCONFIGURED_PRIORITY,
    origin: true,
    configured,
    ...(entry !== undefined && { entry }),
    ...(isForIt && { credentials }),
  }
}
