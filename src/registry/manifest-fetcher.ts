import { LRUCache } from 'lru-cache'
import { ResolveError } from '../errors.ts'
import { upTo } from '../lru.ts'
import { hashOf, isDigest, verifyDigest } from '../reference/digest.ts'
import { pullScope } from './auth/challenge.ts'
import { endpointKey } from './endpoint.ts'
import type { Descriptor, ImageRequest } from './image.ts'
import {
  bareType,
  type ImageConfig,
  type IndexChild,
  MANIFEST_TYPES,
  type Manifest,
  parseConfig,
  parseManifest,
  signedPayload,
} from './manifest.ts'
import { discard, type RegistryResponse, readBody } from './response.ts'
import type { RegistrySession } from './session.ts'

export interface ManifestRequest extends ImageRequest {
  /** Media types that are welcome beside those of images; default none. */
  readonly accept?: string
}

/** A manifest as it came, not yet verified. */
export interface RawManifest {
  readonly bytes: Buffer
  /** As the registry wrote it; '' when it did not. */
  readonly contentType: string
}

/** What a HEAD said; members are absent where the registry left them out. */
export interface ManifestHead {
  readonly contentType: string
  readonly digest: string | undefined
  readonly size: number | undefined
}

/** A manifest with bytes that match its digest. */
export interface VerifiedManifest {
  readonly descriptor: Descriptor
  readonly manifest: Manifest
}

const ACCEPT = MANIFEST_TYPES.join(', ')
const MAX_BYTES = 4 * 1024 * 1024
/** How long a registry that refuses HEAD is asked by GET alone. */
const GET_ONLY_MS = 3_600_000
const MAX_REGISTRIES = 1_000
const MAX_CONFIGS = 10_000

/**
 * Statuses that some registries answer to HEAD for manifests that they give by GET: Nexus 404
 * (crazy-max/diun#1614), registry.centos.org 403 (containerd#6684), storage behind URLs that are
 * signed for GET alone 403, gateways the others.
 */
const DOUBTFUL: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 406, 500, 501])

/**
 * Fetches manifests and image configs (distribution-spec, "Pulling manifests", "Content discovery"), and
 * verifies each against its digest. All methods throw ResolveError.
 */
export class ManifestFetcher {
  readonly #session: RegistrySession
  /** Registries that refused HEAD for what they gave by GET, and when. */
  readonly #getOnly = new LRUCache<string, number>({ max: MAX_REGISTRIES })
  /** By digest of the config. */
  readonly #configs = new LRUCache<string, ImageConfig>(upTo(MAX_CONFIGS))
  readonly #now: () => number

  constructor(session: RegistrySession, now: () => number) {
    this.#session = session
    this.#now = now
  }

  /** GET. @throws DIGEST_INVALID for other bytes than a digest names, and as parseManifest */
  async get(request: ManifestRequest): Promise<VerifiedManifest> {
    return verify(request, await this.#raw(request))
  }

  /**
   * HEAD, mostly one request. A refusal counts once the GET is refused as well. A registry that refuses HEAD
   * for what it gives by GET is asked by GET alone for an hour.
   *
   * @returns unverified; the manifest itself where a GET was needed
   */
  head(request: ManifestRequest): Promise<ManifestHead | RawManifest> {
    if (!this.#supportsHead(request)) return this.#raw(request)
    const accepts = (status: number): boolean => status === 200 || isDoubtful(status)
    return this.#session.request(
      { ...requestIn('HEAD', 'manifests', request, acceptOf(request)), accepts },
      async (response) => {
        await discard(response)
        if (response.status === 200) return headOf(response)
        const manifest = await this.#raw(request)
        this.#getOnly.set(endpointKey(request.endpoint), this.#now())
        return manifest
      },
    )
  }

  /** The digest of a manifest of any kind, an artifact too: as a HEAD says it, else of the bytes of one GET. */
  async digest(request: ImageRequest): Promise<string> {
    const asked = { ...request, accept: '*/*' }
    const head = await this.head(asked)
    if ('bytes' in head) return verifiedDigest(request, head)
    return head.digest ?? verifiedDigest(request, await this.#raw(asked))
  }

  /** What the registry says that a tag points at. A GET where a HEAD leaves that out or is refused. */
  async descriptor(request: ImageRequest): Promise<Descriptor> {
    const head = await this.head(request)
    if ('bytes' in head) return verify(request, head).descriptor
    const mediaType = bareType(head.contentType)
    if (!head.digest || head.size === undefined || !MANIFEST_TYPES.includes(mediaType)) {
      return (await this.get(request)).descriptor
    }
    if (isDigest(request.reference) && head.digest !== request.reference) throw mismatch(request)
    return { digest: head.digest, mediaType, size: head.size }
  }

  /** A child of an index, which the index may carry within itself. */
  async child(request: ImageRequest, child: IndexChild): Promise<Manifest> {
    const own = { ...request, reference: child.digest }
    if (child.data !== undefined && verifyDigest(child.digest, child.data)) {
      return verify(own, { bytes: child.data, contentType: '' }).manifest
    }
    return (await this.get(own)).manifest
  }

  /** What an image's config says. Read once for each config. */
  async config(request: ImageRequest, configDigest: string): Promise<ImageConfig> {
    const known = this.#configs.get(configDigest)
    if (known !== undefined) return known
    const asked = { ...request, reference: configDigest }
    const bytes = await this.#session.request(requestIn('GET', 'blobs', asked, '*/*'), (response) =>
      bounded(response, asked),
    )
    if (!verifyDigest(configDigest, bytes)) throw mismatch(asked)
    const config = parseConfig(bytes)
    this.#configs.set(configDigest, config)
    return config
  }

  #raw(request: ManifestRequest): Promise<RawManifest> {
    return this.#session.request(
      requestIn('GET', 'manifests', request, acceptOf(request)),
      async (response) => ({
        bytes: await bounded(response, request),
        contentType: response.headers['content-type'] ?? '',
      }),
    )
  }

  #supportsHead({ endpoint }: ManifestRequest): boolean {
    const refusedAt = this.#getOnly.get(endpointKey(endpoint))
    if (refusedAt === undefined) return true
    const ageMs = this.#now() - refusedAt
    // The age is negative after the clock was set back.
    return ageMs < 0 || ageMs >= GET_ONLY_MS
  }
}

/**
 * Whether a GET has to confirm the refusal of a HEAD. A GET that is refused as well shows nothing for the
 * next time: the image, or the right to it, may be there by then, and a proxy may refuse the HEAD of what it
 * has not fetched yet.
 *
 * @param status of the response to the HEAD
 */
export function isDoubtful(status: number): boolean {
  return DOUBTFUL.has(status)
}

/**
 * A request for something of a repository.
 *
 * @param query of the specification, without its question mark
 */
export function requestIn(
  method: 'GET' | 'HEAD',
  kind: 'manifests' | 'blobs' | 'referrers',
  request: ImageRequest,
  accept: string,
  query = '',
) {
  const { namespace, repository, reference } = request
  const ns = namespace === undefined ? '' : `ns=${encodeURIComponent(namespace)}`
  const all = [query, ns].filter((part) => part !== '').join('&')
  return {
    context: request,
    method,
    path: `${repository}/${kind}/${reference}${all === '' ? '' : `?${all}`}`,
    subject: subjectOf(request),
    headers: { accept },
    scope: pullScope(repository),
  }
}

/** The header for a manifest. */
function acceptOf({ accept }: ManifestRequest): string {
  return accept === undefined ? ACCEPT : `${ACCEPT}, ${accept}`
}

/** `registry/repository:tag` or `registry/repository@digest`, for error texts. */
export function nameOf(request: ImageRequest): string {
  return `${request.endpoint.host}/${subjectOf(request)}`
}

function subjectOf({ repository, reference }: ImageRequest): string {
  return `${repository}${reference.includes(':') ? '@' : ':'}${reference}`
}

/** Docker-Content-Digest is not used: only the bytes count. */
function verifiedDigest(request: ImageRequest, { bytes, contentType }: RawManifest): string {
  const { reference } = request
  const hashed = signedPayload(bytes, contentType) ?? bytes
  if (!isDigest(reference)) return hashOf('sha256', hashed)
  if (!verifyDigest(reference, hashed)) throw mismatch(request)
  return reference
}

function verify(request: ImageRequest, raw: RawManifest): VerifiedManifest {
  const digest = verifiedDigest(request, raw)
  const { bytes, contentType } = raw
  const subject = { name: nameOf(request), digest, size: bytes.length }
  const manifest = parseManifest(bytes, contentType, subject)
  const { mediaType } = manifest
  return { descriptor: { digest, mediaType, size: bytes.length }, manifest }
}

function headOf({ headers }: RegistryResponse): ManifestHead {
  const digest = headers['docker-content-digest']
  const length = headers['content-length']
  return {
    contentType: headers['content-type'] ?? '',
    digest: typeof digest === 'string' && isDigest(digest) ? digest : undefined,
    size: length === undefined ? undefined : Number(length),
  }
}

async function bounded(response: RegistryResponse, request: ImageRequest): Promise<Buffer> {
  const bytes = await readBody(response, MAX_BYTES)
  if (bytes !== undefined) return bytes
  throw new ResolveError(
    'MANIFEST_INVALID',
    `${request.endpoint.host}: ${subjectOf(request)} is larger than 4 MiB, which no registry should store`,
    { step: 'manifest', status: 200 },
  )
}

function mismatch(request: ImageRequest): ResolveError {
  return new ResolveError(
    'DIGEST_INVALID',
    `${nameOf(request)}: the registry answered with something else than this digest`,
    { step: 'manifest', status: 200 },
  )
}
