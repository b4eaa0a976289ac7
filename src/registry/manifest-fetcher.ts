import { ResolveError } from '../errors.ts'
import { isDigest } from '../reference/digest.ts'
import { pullScope } from './auth/scope.ts'
import { BoundedMap } from './bounded-map.ts'
import { type Endpoint, endpointKey } from './endpoint.ts'
import { type Question, statusFailure } from './failure.ts'
import type { ImageRequest } from './image.ts'
import { MANIFEST_TYPES } from './media-types.ts'
import { discard, type RegistryResponse, readBody } from './response.ts'
import type { RegistrySession } from './session.ts'

export interface ManifestRequest extends ImageRequest {
  /** Media types that are welcome beside those of images; default none. */
  readonly accept?: string
}

/** A manifest as it came, not yet believed. */
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

const ACCEPT = MANIFEST_TYPES.join(', ')
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
/** How long a registry that refuses HEAD is asked by GET alone. */
const KEEP_MS = 3_600_000
const MAX_REGISTRIES = 1_000

/**
 * Fetches manifests and the documents they name (distribution-spec, "Pulling manifests", "Content
 * discovery"). All methods throw ResolveError.
 */
export class ManifestFetcher {
  readonly #session: RegistrySession
  readonly #heads: HeadSupport
  readonly #now: () => number

  constructor(session: RegistrySession, now: () => number) {
    this.#session = session
    this.#heads = new HeadSupport(now)
    this.#now = now
  }

  /** GET; bodies of more than 4 MiB are refused with MANIFEST_INVALID. */
  get(request: ManifestRequest): Promise<RawManifest> {
    const question = questionOf(request)
    return this.#session.ask(request, question, async () => {
      const reply = await this.#send('GET', 'manifests', request)
      if (reply.status !== 200) throw await statusFailure(reply, question, this.#now())
      const bytes = await readBody(reply, MAX_MANIFEST_BYTES)
      if (bytes !== undefined) return { bytes, contentType: reply.headers['content-type'] ?? '' }
      throw tooLarge(question)
    })
  }

  /** GET of a blob that is a document, as the config of an image; of more than 4 MiB: MANIFEST_INVALID. */
  blob(request: ImageRequest): Promise<Buffer> {
    const question = questionOf(request)
    return this.#session.ask(request, question, async () => {
      const reply = await this.#send('GET', 'blobs', request)
      if (reply.status !== 200) throw await statusFailure(reply, question, this.#now())
      return (await readBody(reply, MAX_MANIFEST_BYTES)) ?? Promise.reject(tooLarge(question))
    })
  }

  /**
   * HEAD, one request mostly. A refusal of it counts once a GET is refused too. A registry that refuses
   * HEAD for what it gives by GET is asked by GET alone for an hour.
   *
   * @returns the manifest itself where a GET was needed
   */
  head(request: ManifestRequest): Promise<ManifestHead | RawManifest> {
    if (!this.#heads.has(request.endpoint)) return this.get(request)
    const question = questionOf(request)
    return this.#session.ask(request, question, async () => {
      const reply = await this.#send('HEAD', 'manifests', request)
      const { status } = reply
      if (isDoubtful(status)) {
        await discard(reply)
        const manifest = await this.get(request)
        this.#heads.refused(request.endpoint)
        return manifest
      }
      if (status !== 200) throw await statusFailure(reply, question, this.#now())
      await discard(reply)
      const digest = reply.headers['docker-content-digest']
      const length = reply.headers['content-length']
      return {
        contentType: reply.headers['content-type'] ?? '',
        digest: typeof digest === 'string' && isDigest(digest) ? digest : undefined,
        size: length === undefined ? undefined : Number(length),
      }
    })
  }

  #send(
    method: 'GET' | 'HEAD',
    kind: 'manifests' | 'blobs',
    request: ManifestRequest,
  ): Promise<RegistryResponse> {
    const { namespace, repository, reference } = request
    const accept = request.accept === undefined ? ACCEPT : `${ACCEPT}, ${request.accept}`
    const query = namespace === undefined ? '' : `?ns=${encodeURIComponent(namespace)}`
    return this.#session.reply({
      party: request,
      method,
      path: `${repository}/${kind}/${reference}${query}`,
      headers: { accept: kind === 'manifests' ? accept : '*/*' },
      scope: pullScope(repository),
    })
  }
}

function questionOf({ endpoint, repository, reference }: ImageRequest): Question {
  const separator = reference.includes(':') ? '@' : ':'
  return {
    host: endpoint.host,
    subject: `${repository}${separator}${reference}`,
    step: 'manifest',
  }
}

function tooLarge({ host, subject, step }: Question): ResolveError {
  return new ResolveError(
    'MANIFEST_INVALID',
    `${host}: ${subject} is larger than 4 MiB, which no registry should store`,
    { step, status: 200 },
  )
}

/**
 * Statuses that some registries answer to HEAD for manifests that they give by GET: Nexus 404
 * (crazy-max/diun#1614), registry.centos.org 403 (containerd#6684), storage behind URLs that are
 * signed for GET alone 403, gateways the others.
 */
const DOUBTFUL: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 406, 500, 501])

/**
 * Whether what a HEAD was refused with needs a GET before it counts. That the GET is refused as well
 * shows nothing for the next time: the image, or the right to it, may be there by then, and a proxy may
 * refuse the HEAD of what it has not fetched yet.
 *
 * @param status of the answer to the HEAD
 */
export function isDoubtful(status: number): boolean {
  return DOUBTFUL.has(status)
}

/** Which registries refuse HEAD for manifests that they give by GET. Kept for an hour. */
class HeadSupport {
  readonly #now: () => number
  /** When a GET worked where the HEAD had not. */
  readonly #refusedAt = new BoundedMap<number>(MAX_REGISTRIES)

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now
  }

  /** Whether asking by HEAD is worth it. */
  has(endpoint: Endpoint): boolean {
    const refusedAt = this.#refusedAt.get(endpointKey(endpoint))
    if (refusedAt === undefined) return true
    const ageMs = this.#now() - refusedAt
    // A clock that was set back makes ages negative.
    return ageMs < 0 || ageMs >= KEEP_MS
  }

  /** A GET worked where the HEAD had not. */
  refused(endpoint: Endpoint): void {
    this.#refusedAt.set(endpointKey(endpoint), this.#now())
  }
}
