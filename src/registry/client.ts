import { departure, withTimeout } from '../concurrency/abortable.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import { ResolveError } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import { type ContentRequest, openContent } from './content.ts'
import { type Endpoint, endpointUrl } from './endpoint.ts'
import type { Descriptor, ImageIdentity, ImageRequest, RequestContext } from './image.ts'
import { ImageLookup } from './image-lookup.ts'
import {
  type CatalogRequest,
  listRepositories,
  listTags,
  type Names,
  type TagsRequest,
} from './listing.ts'
import {
  ManifestFetcher,
  type ManifestHead,
  type ManifestRequest,
  type RawManifest,
} from './manifest-fetcher.ts'
import { type Content, discard } from './response.ts'
import { RegistrySession } from './session.ts'
import type { ProxyOptions } from './transport/proxy.ts'
import { ATTEMPT_TIMEOUT_MS, Transport } from './transport/transport.ts'

export interface RegistryClientOptions {
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number
  /** Limit of one request to a registry, tokens included, from its admission; default 10000. */
  readonly attemptTimeoutMs?: number
  /** A certificate authority (PEM) trusted beside the well-known ones. */
  readonly ca?: string
  /** Default: none. */
  readonly proxy?: ProxyOptions
  /**
   * Token services that may be at any address though a registry elsewhere names them: `host` (with
   * any port) or `host:port`. Default: none.
   */
  readonly realms?: readonly string[]
  /** As in TransportOptions. */
  readonly via?: string
  /** Requests to one registry at a time; further ones wait in a queue. Default 16. */
  readonly maxConcurrent?: number
}

export interface Ping {
  /** From the request to the head of the response, a new connection and tokens included. */
  readonly ms: number
  /** 401: credentials are wanted, and none were given, or others. */
  readonly status: 200 | 401
}

const MAX_CONNECT_MS = 5_000

/**
 * Asks registries which image a tag or digest is, for lists of repositories and tags, and for content. Every
 * manifest is hashed, and one that is asked for by digest has to match it.
 */
export class RegistryClient {
  readonly #transport: Transport
  readonly #session: RegistrySession
  readonly #manifests: ManifestFetcher
  readonly #now: () => number
  readonly #queue: RegistryQueue
  readonly #attemptTimeoutMs: number

  /** @throws ResolveError CONFIG_INVALID for a proxy's address that is none */
  constructor(options: RegistryClientOptions = {}) {
    const { now = Date.now, attemptTimeoutMs = ATTEMPT_TIMEOUT_MS, maxConcurrent = 16 } = options
    const { realms = [], ...rest } = options
    this.#attemptTimeoutMs = attemptTimeoutMs
    this.#queue = new RegistryQueue({ maxConcurrent, timeoutMs: attemptTimeoutMs })
    this.#now = now
    this.#transport = new Transport({
      ...rest,
      now,
      silenceTimeoutMs: attemptTimeoutMs,
      connectTimeoutMs: Math.min(attemptTimeoutMs, MAX_CONNECT_MS),
    })
    const about = { transport: this.#transport, now, exchangeTimeoutMs: attemptTimeoutMs, realms }
    this.#session = new RegistrySession(about)
    this.#manifests = new ManifestFetcher(this.#session, now)
  }

  /**
   * Which image a reference is for a platform; requests and `isAsked` as in ImageLookup.
   *
   * @throws ResolveError with step and status: MANIFEST_UNKNOWN, PLATFORM_UNKNOWN, UNAUTHORIZED,
   * DENIED, TOOMANYREQUESTS (with retryAfterMs), UNSUPPORTED, NOT_AN_IMAGE, DIGEST_INVALID,
   * MANIFEST_INVALID, UNAVAILABLE, DEADLINE_EXCEEDED, CANCELED
   */
  image(request: ImageRequest, platform: Platform, isAsked = false): Promise<ImageIdentity> {
    return this.#queue.run(request, (asked) =>
      new ImageLookup(this.#manifests, asked, platform, isAsked).run(),
    )
  }

  /** One HEAD: what a tag points at now. A GET where the registry's HEAD leaves that out or is refused. */
  digest(request: ImageRequest): Promise<Descriptor> {
    return this.#queue.run(request, (asked) => this.#manifests.descriptor(asked))
  }

  /**
   * What a tag points at, be it an image or an artifact: one HEAD. One GET beside it where that is refused or does
   * not say it.
   *
   * @throws ResolveError as image()
   */
  anyDigest(request: ImageRequest): Promise<string> {
    return this.#queue.run(request, (asked) => this.#manifests.digest(asked))
  }

  /**
   * What a HEAD says of a manifest of any kind, unverified; the manifest where a GET was needed.
   *
   * @throws ResolveError as image()
   */
  head(request: ManifestRequest): Promise<ManifestHead | RawManifest> {
    return this.#queue.run(request, (asked) => this.#manifests.head(asked))
  }

  /**
   * The platforms that there is something for: those of an index by one GET, that of a single image by two.
   *
   * @throws ResolveError as image()
   */
  platforms(request: ImageRequest): Promise<readonly Platform[]> {
    return this.#queue.run(request, async (asked) => {
      const { manifest } = await this.#manifests.get(asked)
      const named =
        manifest.kind === 'index'
          ? manifest.children.map(({ platform }) => platform)
          : [(await this.#manifests.config(asked, manifest.configDigest)).platform]
      return named.filter((platform) => platform !== undefined)
    })
  }

  /**
   * When an image was built: two or three GETs.
   *
   * @returns RFC 3339; undefined: it does not say
   * @throws ResolveError as image()
   */
  created(request: ImageRequest, platform: Platform): Promise<string | undefined> {
    return this.#queue.run(request, async (asked) => {
      const { imageId } = await new ImageLookup(this.#manifests, asked, platform, false).run()
      return (await this.#manifests.config(asked, imageId)).created
    })
  }

  /** A repository's tags, as many pages as fit into the limit of one request. */
  tags(request: TagsRequest): Promise<Names> {
    return this.#queue.run(request, (asked) => listTags(this.#session, asked))
  }

  /** A registry's repositories. Public registries refuse. */
  repositories(request: CatalogRequest): Promise<Names> {
    return this.#queue.run(request, (asked) => listRepositories(this.#session, asked))
  }

  /**
   * GET of the API's root (distribution-spec, "Determining Support"). Without credentials a 401 is an answer
   * as good as 200; with credentials they are used.
   *
   * @throws ResolveError for any other status, for no response, and for a token that cannot be had
   */
  ping(request: RequestContext): Promise<Ping> {
    return this.#queue.run(request, async (context) => {
      const startedAt = this.#now()
      const asked = {
        context,
        method: 'GET',
        path: '',
        subject: 'its API',
        headers: { accept: 'application/json' },
        scope: undefined,
        authorize: request.credentials !== undefined,
        accepts: (status: number) => status === 200 || status === 401,
      } as const
      return this.#session.request(asked, async (response) => {
        const ms = this.#now() - startedAt
        await discard(response)
        return { ms, status: response.status === 200 ? 200 : 401 }
      })
    })
  }

  /**
   * A manifest or blob as a stream, whatever the status, unverified. The limit holds for the head of the
   * response; the caller's signal ends the body too.
   */
  open(request: ImageRequest, content: ContentRequest): Promise<Content> {
    return this.#queue.enter(request, () =>
      openContent(this.#session, request, content, this.#attemptTimeoutMs),
    )
  }

  /** Keeps no idle connection from now on. @returns when the last request, its body included, has ended */
  retire(): Promise<void> {
    return this.#transport.retire()
  }

  /** Ends every connection. */
  close(): Promise<void> {
    return this.#transport.close()
  }
}

type QueuedRequest = Pick<RequestContext, 'endpoint' | 'signal' | 'ticket'>

interface RegistryQueueOptions {
  /** Requests to one registry at a time; further ones wait, until their signal ends. */
  readonly maxConcurrent: number
  /** Of one request, from its admission. */
  readonly timeoutMs: number
}

/** Limits how many requests one registry gets at a time. */
export class RegistryQueue {
  readonly #options: RegistryQueueOptions
  readonly #semaphore: Semaphore

  constructor(options: RegistryQueueOptions) {
    this.#options = options
    this.#semaphore = new Semaphore(options.maxConcurrent)
  }

  /** Runs work that has to end within the limit, and with the caller's signal: the signal of the request that it gets. */
  run<R extends QueuedRequest, T>(request: R, work: (request: R) => Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options
    return this.enter(request, () =>
      withTimeout(request.signal, timeoutMs, (signal) => work({ ...request, signal })),
    )
  }

  /**
   * Runs work with a limit of its own.
   *
   * @throws ResolveError DEADLINE_EXCEEDED or CANCELED when the signal ends while it waits
   */
  async enter<T>({ endpoint, signal, ticket }: QueuedRequest, work: () => Promise<T>): Promise<T> {
    const cameAt = performance.now()
    let isIn = false
    const begin = (): Promise<T> => {
      isIn = true
      return work()
    }
    try {
      return await this.#semaphore.run(endpointUrl(endpoint), signal, begin, ticket)
    } catch (thrown) {
      throw isIn ? thrown : this.#leftInLine(endpoint, performance.now() - cameAt, thrown)
    }
  }

  #leftInLine({ host }: Endpoint, waitedMs: number, reason: unknown): ResolveError {
    const { code, message } = departure(reason)
    const { maxConcurrent: most } = this.#options
    const asked = most === 1 ? '1 question at once is' : `${most} questions at once are`
    const line = `${(waitedMs / 1_000).toFixed(1)} s in line, since ${asked} what it is asked`
    return new ResolveError(code, `${host}: ${message} after ${line}`, {
      step: 'connect',
      cause: reason,
    })
  }
}
