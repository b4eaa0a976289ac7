import { ResolveError } from '../errors.ts'
import { isDigest } from '../reference/digest.ts'
import { type Access, Authorizer } from './authorizer.ts'
import { readBody } from './body.ts'
import { endpointUrl } from './endpoint.ts'
import { networkFailure, type Question, statusFailure } from './failure.ts'
import type { ImageRequest } from './image.ts'
import { MANIFEST_TYPES } from './media-types.ts'
import { reachOf } from './reach.ts'
import { isRedirect, nextHop } from './redirect.ts'
import type { Reply } from './reply.ts'
import { TokenCache } from './token.ts'
import { discard, Transport, type TransportOptions } from './transport.ts'

export interface RegistryClientOptions extends TransportOptions {
  /** Milliseconds. */
  readonly now: () => number
  /** Limit of one token exchange. */
  readonly exchangeTimeoutMs: number
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
const MAX_REDIRECTS = 5
const REPOSITORY_PATH = /^\/v2\/(?<repository>.+)\/manifests\/[^/]+$/

/**
 * Manifests of registries (distribution-spec, "Pulling manifests"). Answers challenges and follows
 * redirects; apart from that one request is one request. All methods throw ResolveError.
 */
export class RegistryClient {
  readonly #transport: Transport
  readonly #authorizer: Authorizer
  readonly #now: () => number

  constructor({ now, exchangeTimeoutMs, ...options }: RegistryClientOptions) {
    this.#transport = new Transport(options)
    this.#authorizer = new Authorizer(
      new TokenCache({ transport: this.#transport, now, exchangeTimeoutMs }),
    )
    this.#now = now
  }

  /** GET; bodies of more than 4 MiB are refused with MANIFEST_INVALID. */
  get(request: ImageRequest): Promise<RawManifest> {
    const question = questionOf(request)
    return this.#asking(request, question, async () => {
      const reply = await this.#request('GET', request)
      if (reply.status !== 200) throw await statusFailure(reply, question, this.#now())
      const bytes = await readBody(reply, MAX_MANIFEST_BYTES)
      if (bytes !== undefined) return { bytes, contentType: reply.headers['content-type'] ?? '' }
      throw new ResolveError(
        'MANIFEST_INVALID',
        `${question.host}: the manifest of ${question.subject} is larger than 4 MiB, which no registry should store`,
        { step: 'manifest', status: reply.status },
      )
    })
  }

  /** HEAD; undefined: this registry does not answer that method. */
  head(request: ImageRequest): Promise<ManifestHead | undefined> {
    const question = questionOf(request)
    return this.#asking(request, question, async () => {
      const reply = await this.#request('HEAD', request)
      if (reply.status === 405) {
        await discard(reply)
        return undefined
      }
      if (reply.status !== 200) throw await statusFailure(reply, question, this.#now())
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

  close(): Promise<void> {
    return this.#transport.close()
  }

  async #asking<T>(
    { signal }: ImageRequest,
    question: Question,
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw networkFailure(error, question, signal)
    }
  }

  async #request(method: 'GET' | 'HEAD', request: ImageRequest): Promise<Reply> {
    const { endpoint, repository, reference } = request
    let url = new URL(`/v2/${repository}/manifests/${reference}`, endpointUrl(endpoint))
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
      const reply = await this.#authorized(method, url, request)
      if (!isRedirect(reply.status)) return reply
      await discard(reply)
      url = nextHop(reply.headers.location, url)
    }
    throw new ResolveError(
      'UNAVAILABLE',
      `${endpoint.host} redirects in a circle: more than ${MAX_REDIRECTS} times`,
      { step: 'manifest' },
    )
  }

  /** One request; a second one when the first is answered with a challenge that can be met. */
  async #authorized(method: 'GET' | 'HEAD', url: URL, request: ImageRequest): Promise<Reply> {
    const { endpoint, configured, signal } = request
    const send = (authorization?: string) =>
      this.#transport.send({
        url,
        method,
        headers: { accept: ACCEPT, ...(authorization === undefined ? {} : { authorization }) },
        reach: reachOf(url, endpoint, configured),
        signal,
      })
    // Credentials are for the registry, not for whom it sends us to.
    if (url.origin !== new URL(endpointUrl(endpoint)).origin) return send()
    // Harbor redirects to another repository of its own, which needs a token of its own.
    const repository = REPOSITORY_PATH.exec(url.pathname)?.groups?.['repository']
    const access: Access = { ...request, repository: repository ?? request.repository }
    const sent = await this.#authorizer.header(access)
    const reply = await send(sent)
    const challenge = reply.headers['www-authenticate']
    if (reply.status !== 401 || challenge === undefined) return reply
    let answer: string | undefined
    try {
      answer = await this.#authorizer.answer(access, challenge, sent)
    } finally {
      // Kept only if it is the last word: then its body may say why.
      if (answer !== undefined) await discard(reply)
    }
    return answer === undefined ? reply : send(answer)
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
