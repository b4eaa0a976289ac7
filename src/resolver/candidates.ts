import { type Reference, repositoryName } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Endpoint } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Candidate, Registries } from './types.ts'

/** Below every configured registry, whatever its priority. */
const UNCONFIGURED_PRIORITY = 0

/**
 * Every place where the reference may be found, in the order of asking: the configured registries
 * that serve its domain, then its origin, unless that is configured and so has a place of its own.
 *
 * @param credentials the caller's own; they go to the origin and nowhere else
 */
export function candidatesFor(
  reference: Reference,
  registries: Registries,
  credentials: Credentials | undefined,
): readonly Candidate[] {
  const origin = registries.origin(reference.domain)
  const candidates = registries
    .serving(reference.domain)
    .map((entry) =>
      entry === origin.entry
        ? originCandidate(reference, origin.endpoint, entry, credentials)
        : mirrorCandidate(reference, entry),
    )
  if (!candidates.some((candidate) => candidate.origin)) {
    candidates.push(originCandidate(reference, origin.endpoint, origin.entry, credentials))
  }
  return candidates
}

function mirrorCandidate(reference: Reference, entry: RegistryEntry): Candidate {
  const { host, prefix } = entry.endpoint
  const repository = prefix === '' ? reference.path : `${prefix}/${reference.path}`
  return {
    registry: entry.name,
    endpoint: entry.endpoint,
    repository,
    pullName: `${host}/${repository}`,
    priority: entry.priority,
    origin: false,
    configured: true,
    ...(entry.credentials === undefined ? {} : { credentials: entry.credentials }),
  }
}

function originCandidate(
  reference: Reference,
  endpoint: Endpoint,
  entry: RegistryEntry | undefined,
  callers: Credentials | undefined,
): Candidate {
  const credentials = callers ?? entry?.credentials
  return {
    registry: reference.domain,
    endpoint,
    repository: reference.path,
    pullName: repositoryName(reference),
    priority: entry?.priority ?? UNCONFIGURED_PRIORITY,
    origin: true,
    configured: entry !== undefined,
    ...(credentials === undefined ? {} : { credentials }),
  }
}
