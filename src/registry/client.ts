import { ResolveError } from '../errors.ts'
import { isDigest } from '../reference/digest.ts'
import { pullScope } from './auth/scope.ts'
import { discard, readBody } from './body.ts'
import { type Content, type ContentRequest, openContent } from './content.ts'
import { type Question, statusFailure } from './failure.ts'
import { HeadSupport, isDoubtful } from './head-support.ts'
import type { ImageRequest } from './image.ts'
import {
  type CatalogRequest,
  listRepositories,
  listTags,
  type Names,
  type TagsRequest,
} from './listing.ts'
import { MANIFEST_TYPES } from './media-types.ts'
import { type Ping, type PingRequest, ping } from './ping.ts'
import type { RegistryResponse } from './response.ts'
import { RegistrySession, type SessionOptions } from './session.ts'

export type RegistryClientOptions = SessionOptions

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

/**
 * What registries are asked (distribution-spec, "Pulling manifests", "Content discovery"). Answers
 * challenges and follows redirects; apart from that one request is one request. All methods throw
 * ResolveError.
 */
export class RegistryClient {
  readonly #session: RegistrySession
  readonly #heads: HeadSupport
  readonly #now: () => number

  constructor(options: RegistryClientOptions) {
    this.#session = new RegistrySession(options)
    this.#heads = new HeadSupport(options.now)
    this.#now = options.now
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

  /** Tags of a repository, page after page. */
  tags(request: TagsRequest): Promise<Names> {
    return listTags(this.#session, request, this.#now)
  }

  /** Repositories of a registry, where it lists them. */
  catalog(request: CatalogRequest): Promise<Names> {
    return listRepositories(this.#session, request, this.#now)
  }

  /** Whether it answers at all, and how fast. */
  ping(request: PingRequest): Promise<Ping> {
    return ping(this.#session, request, this.#now)
  }

  /** A manifest or blob as a stream, unread and unverified. */
  open(request: ImageRequest, content: ContentRequest, headTimeoutMs: number): Promise<Content> {
    return openContent(this.#session, request, content, headTimeoutMs)
  }

  retire(): Promise<void> {
    return this.#session.retire()
  }

  close(): Promise<void> {
    return this.#session.close()
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
