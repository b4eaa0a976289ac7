import { ResolveError } from '../errors.ts'
import { COMPONENT, PATH_MAX_LENGTH } from '../reference/grammar.ts'
import { formatReference, type Reference, repositoryName } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Capability, RegistryEntry, RepositoryRewrite } from '../registry/entry.ts'
import type { ImageRequest } from '../registry/image.ts'
import type {
  Candidate,
  Keychain,
  Origin,
  RankedReference,
  Registries,
  Repository,
} from './types.ts'

/** Below every configured registry, whatever its priority. */
const UNCONFIGURED_PRIORITY = 0
const BRACKETED = /^\[(?<address>[0-9a-f:.]+)\](?::(?<port>\d+))?$/

/**
 * Every place where the reference may be found, in the order of asking: the configured registries that serve it,
 * then its origin, unless that is one of them or `mirrorsOnly` rules it out.
 *
 * @param credentials the caller's own, for the origin alone, unless its entry accepts none
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

/** Whether it is asked what a tag points at; else it is asked by digest alone. */
export function resolvesTags(candidate: Candidate): boolean {
  return may(candidate, 'resolve')
}

/** Whether answers may name it as a place to pull from. */
export function isPullable(candidate: Candidate): boolean {
  return may(candidate, 'pull')
}

/** Whether it is used only with the consent of the origin (KEP-2535). */
export function needsConsent({ entry, origin }: Candidate): boolean {
  return entry?.trusted === false && !origin
}

/** Capabilities of an entry with upstreams are for those; its own images are not restricted. */
function may({ entry, origin, registry }: Candidate, what: Capability): boolean {
  const { capabilities, upstreams } = entry ?? {}
  if (capabilities === undefined) return true
  const isItself = origin && upstreams !== undefined && !upstreams.includes(registry)
  return isItself || capabilities.includes(what)
}

/**
 * The credentials for a candidate: the caller's own at the origin, else the operator's.
 *
 * @param keychain default: the credentials of the entry itself
 * @param unauthenticated as in ResolveOptions
 */
export async function credentialsFor(
  { configured, credentials, endpoint, entry, repository }: Candidate,
  keychain: Keychain | undefined,
  unauthenticated: boolean,
): Promise<Credentials | undefined> {
  if (credentials !== undefined) return credentials
  if (unauthenticated && !configured) return undefined
  if (keychain === undefined) return entry?.credentials
  return keychain.credentials(endpoint.host, repository, entry)
}

/** The fields of a request that are about the candidate and its credentials. */
export function requestAt(
  { configured, endpoint, namespace, repository }: Candidate,
  credentials: Credentials | undefined,
): Pick<ImageRequest, 'configured' | 'endpoint' | 'namespace' | 'repository' | 'credentials'> {
  return { endpoint, repository, configured, namespace, credentials }
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

/**
 * @param mirrorsOnly the pattern that rules out the origin
 * @throws ResolveError DENIED where the configuration allows no registry to be asked: there are no candidates, or
 * all may be asked by digest alone
 */
export function requireCandidates(
  reference: Reference,
  candidates: readonly Candidate[],
  mirrorsOnly: string | undefined,
): void {
  if (candidates.some((each) => reference.digest !== undefined || resolvesTags(each))) return
  const what = formatReference(reference)
  const reasons = [
    ...(mirrorsOnly === undefined
      ? []
      : [`\`mirrorsOnly\` has ${mirrorsOnly}, so its origin is not`]),
    candidates.length === 0
      ? 'no entry of `registries` serves it: add one, or name it in `upstreams`'
      : `\`capabilities\` of ${list(candidates)} lack \`resolve\`: add that, or ask by digest`,
  ]
  throw new ResolveError('DENIED', `${what}: no registry may be asked; ${reasons.join('; ')}`)
}

function list(candidates: readonly Candidate[]): string {
  return candidates.map(({ registry }) => registry).join(', ')
}

/**
 * The repository of an entry, below `/v2/`: its prefix, then its `path` template or the result of its `rewrite`.
 * undefined: that is no valid name of a repository.
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
 * A domain as one component of a path, which has no colons. `hub.corp:5000` becomes `hub.corp_5000`, which is no
 * valid domain; `[fd00::1]:5000` becomes `fd00__1-5000`, with a 0 where a component must not begin or end with a
 * separator.
 */
export function domainComponent(domain: string): string {
  const name = domain.toLowerCase()
  const { address, port } = BRACKETED.exec(name)?.groups ?? {}
  if (address === undefined) return name.replace(':', '_')
  const words = address.replaceAll(':', '_').replace(/_{3,}/g, '__')
  const component = words.replace(/^_/, '0_').replace(/_$/, '_0')
  return port === undefined ? component : `${component}-${port}`
}

/** What this resolution shows of a candidate. */
export type Standing = 'verified' | 'assumed' | 'refuted'

/**
 * The pullable references of one image, best first: digests before tags, verified before assumed,
 * then the order of the candidates; option 3 of kubernetes/kubernetes#46255. Candidates without the image, or
 * without the capability `pull`, are left out. A tag is listed only where the caller asked by tag alone, and where
 * the registry may resolve tags: the consent of an origin is for a digest.
 */
export function rankReferences(
  reference: Reference,
  digest: string,
  candidates: readonly Candidate[],
  standing: (candidate: Candidate) => Standing,
): readonly RankedReference[] {
  const pullable = candidates
    .filter(isPullable)
    .map((candidate) => ({ candidate, standing: standing(candidate) }))
  const ordered = [
    ...pullable.filter((each) => each.standing === 'verified'),
    ...pullable.filter((each) => each.standing === 'assumed'),
  ]
  const digests = ordered.map(({ candidate, standing }) =>
    ranked(candidate, [candidate.pullName, digest].join('@'), 'digest', standing === 'verified'),
  )
  if (reference.tag === undefined || reference.digest !== undefined) return digests
  const tags = ordered
    .filter(({ candidate }) => resolvesTags(candidate) && !needsConsent(candidate))
    .map(({ candidate, standing }) =>
      ranked(
        candidate,
        [candidate.pullName, reference.tag].join(':'),
        'tag',
        standing === 'verified',
      ),
    )
  return digests.concat(tags)
}

function ranked(
  candidate: Candidate,
  reference: string,
  kind: 'digest' | 'tag',
  verified: boolean,
): RankedReference {
  return {
    reference,
    kind,
    registry: candidate.registry,
    priority: candidate.priority,
    verified,
  }
}
