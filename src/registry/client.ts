import { ResolveError } from '../errors.ts'
import { hashOf, isDigest, verifyDigest } from '../reference/digest.ts'
import { choosePlatform, formatPlatform, type Platform } from '../reference/platform.ts'
import { quote } from '../reference/quote.ts'
import { BoundedMap } from './bounded-map.ts'
import { type Content, type ContentRequest, openContent } from './content.ts'
import type { Descriptor, ImageIdentity, ImagePlatform, ImageRequest } from './image.ts'
import { type Chosen, searchIndex } from './index-search.ts'
import {
  type CatalogRequest,
  listRepositories,
  listTags,
  type Names,
  type TagsRequest,
} from './listing.ts'
import {
  bareType,
  type ImageManifest,
  type IndexChild,
  type Manifest,
  parseManifest,
  platformIn,
  signedPayload,
} from './manifest.ts'
import {
  ManifestFetcher,
  type ManifestHead,
  type ManifestRequest,
  type RawManifest,
} from './manifest-fetcher.ts'
import { MANIFEST_TYPES } from './media-types.ts'
import { type Ping, type PingRequest, ping } from './ping.ts'
import { RequestQueue } from './request-queue.ts'
import { RegistrySession } from './session.ts'
import type { ProxyOptions } from './transport/proxy.ts'

export interface RegistryClientOptions {
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number
  /** Limit of one question to one registry, tokens and all, once it is its turn; default 10000. */
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
  /** Questions that one registry is asked at once, the others waiting in line; default 16. */
  readonly maxConcurrent?: number
}

/** A manifest whose bytes are the ones that its digest names. */
interface Verified {
  readonly descriptor: Descriptor
  readonly manifest: Manifest
}

/** Which platform, and whether the caller named it. */
interface Wanted {
  readonly platform: Platform
  readonly isAsked: boolean
}

const MAX_PLATFORMS = 10_000

/**
 * Asks registries: which image a tag or digest is, what repositories and tags there are, and content. No
 * answer is taken on trust: every manifest is hashed, and what was asked for by digest has to have it.
 */
export class RegistryClient {
  readonly #session: RegistrySession
  readonly #manifests: ManifestFetcher
  readonly #now: () => number
  readonly #queue: RequestQueue
  readonly #attemptTimeoutMs: number
  /** By digest of the config. */
  readonly #platforms = new BoundedMap<{ readonly platform: Platform | undefined }>(MAX_PLATFORMS)

  /** @throws ResolveError CONFIG_INVALID for a proxy's address that is none */
  constructor(options: RegistryClientOptions = {}) {
    const { now = Date.now, attemptTimeoutMs = 10_000, maxConcurrent = 16, ...rest } = options
    this.#attemptTimeoutMs = attemptTimeoutMs
    this.#queue = new RequestQueue({ maxConcurrent, timeoutMs: attemptTimeoutMs })
    this.#now = now
    this.#session = new RegistrySession({
      now,
      exchangeTimeoutMs: attemptTimeoutMs,
      silenceTimeoutMs: attemptTimeoutMs,
      connectTimeoutMs: Math.min(attemptTimeoutMs, 5_000),
      ...rest,
    })
    this.#manifests = new ManifestFetcher(this.#session, now)
  }

  /**
   * One GET, two where an index is in between. One more where it has to be known that the image is for
   * that platform and no index says so: its config does, which is read once for each digest.
   *
   * @param isAsked the caller named the platform: the answer is for it, or `assumed` if nothing tells
   * @throws ResolveError with step and status: MANIFEST_UNKNOWN, PLATFORM_UNKNOWN, UNAUTHORIZED,
   * DENIED, TOOMANYREQUESTS (with retryAfterMs), UNSUPPORTED, DIGEST_INVALID, MANIFEST_INVALID,
   * UNAVAILABLE, DEADLINE_EXCEEDED, CANCELED
   */
  image(request: ImageRequest, platform: Platform, isAsked = false): Promise<ImageIdentity> {
    return this.#queue.run(request, async (signal) => {
      const asked = { ...request, signal }
      const { descriptor, manifest } = await this.#fetch(asked)
      const wanted = { platform, isAsked }
      const chosen =
        manifest.kind === 'image'
          ? await this.#only(asked, wanted, descriptor, manifest)
          : await this.#choose(asked, wanted, descriptor, manifest.children)
      return {
        ...descriptor,
        manifestDigest: chosen.digest,
        imageId: chosen.manifest.configDigest,
        platform: chosen.platform,
      }
    })
  }

  /** One HEAD: what a tag points at now. A GET where the registry's HEAD leaves that out or is refused. */
  digest(request: ImageRequest): Promise<Descriptor> {
    return this.#queue.run(request, async (signal) => {
      const asked = { ...request, signal }
      const head = await this.#manifests.head(asked)
      if ('bytes' in head) return verify(asked, head).descriptor
      const mediaType = bareType(head.contentType)
      if (!head.digest || head.size === undefined || !MANIFEST_TYPES.includes(mediaType)) {
        return (await this.#fetch(asked)).descriptor
      }
      if (isDigest(request.reference) && head.digest !== request.reference) throw mismatch(request)
      return { digest: head.digest, mediaType, size: head.size }
    })
  }

  /**
   * What a HEAD says of a manifest, of whatever kind, unverified; the manifest where a GET was needed.
   *
   * @throws ResolveError as image()
   */
  head(request: ManifestRequest): Promise<ManifestHead | RawManifest> {
    return this.#queue.run(request, (signal) => this.#manifests.head({ ...request, signal }))
  }

  /** A repository's tags; every page that this takes within the limit of one question. */
  tags(request: TagsRequest): Promise<Names> {
    return this.#queue.run(request, (signal) =>
      listTags(this.#session, { ...request, signal }, this.#now),
    )
  }

  /** A registry's repositories. Public registries do not tell. */
  repositories(request: CatalogRequest): Promise<Names> {
    return this.#queue.run(request, (signal) =>
      listRepositories(this.#session, { ...request, signal }, this.#now),
    )
  }

  /** Whether a registry answers, and how fast. */
  ping(request: PingRequest): Promise<Ping> {
    return this.#queue.run(request, (signal) =>
      ping(this.#session, { ...request, signal }, this.#now),
    )
  }

  /**
   * A manifest or blob as a stream, whatever the registry answered, unverified. The limit holds for the
   * head of the answer; the caller's signal ends the body too.
   */
  open(request: ImageRequest, content: ContentRequest): Promise<Content> {
    return this.#queue.enter(request, () =>
      openContent(this.#session, request, content, this.#attemptTimeoutMs),
    )
  }

  /** Keeps no connection any more. @returns when the last request, its body included, has ended */
  retire(): Promise<void> {
    return this.#session.retire()
  }

  /** Ends every connection. */
  close(): Promise<void> {
    return this.#session.close()
  }

  async #fetch(request: ImageRequest): Promise<Verified> {
    return verify(request, await this.#manifests.get(request))
  }

  /** An image without an index. */
  async #only(
    request: ImageRequest,
    wanted: Wanted,
    { digest }: Descriptor,
    manifest: ImageManifest,
  ): Promise<Chosen> {
    const platform = await this.#platformOf(request, wanted, manifest)
    if (platform !== undefined) return { digest, manifest, platform }
    const told = await this.#told(request, manifest.configDigest)
    throw noPlatform(request, wanted.platform, [told === undefined ? {} : { platform: told }])
  }

  async #choose(
    request: ImageRequest,
    wanted: Wanted,
    index: Descriptor,
    children: readonly IndexChild[],
  ): Promise<Chosen> {
    if (children.length === 0) throw noImage(nameOf(request), index)
    const found = await searchIndex(children, wanted.platform, {
      read: (child) => this.#child(request, child),
      platformOf: (manifest, isOneOfSeveral) =>
        this.#platformOf(request, wanted, manifest, isOneOfSeveral),
    })
    if (found === undefined) throw noPlatform(request, wanted.platform, children)
    if (found instanceof ResolveError) throw noImage(nameOf(request), index, found)
    return found
  }

  /** As IndexReader.platformOf. */
  async #platformOf(
    request: ImageRequest,
    { platform, isAsked }: Wanted,
    { configDigest }: ImageManifest,
    isOneOfSeveral = false,
  ): Promise<ImagePlatform | undefined> {
    const assumed = { ...platform, assumed: true } as const
    if (!isAsked && !isOneOfSeveral) return assumed
    const told = await this.#told(request, configDigest)
    if (told === undefined) return isOneOfSeveral ? undefined : assumed
    return choosePlatform(platform, [{ platform: told }]) && told
  }

  /** What an image's config says, which is the same for ever. */
  async #told(request: ImageRequest, configDigest: string): Promise<Platform | undefined> {
    const known = this.#platforms.get(configDigest)
    if (known !== undefined) return known.platform
    const asked = { ...request, reference: configDigest }
    const bytes = await this.#manifests.blob(asked)
    if (!verifyDigest(configDigest, bytes)) throw mismatch(asked)
    const platform = platformIn(bytes)
    this.#platforms.set(configDigest, { platform })
    return platform
  }

  /** A child by its digest, which the index may carry within itself. */
  async #child(request: ImageRequest, child: IndexChild): Promise<Manifest> {
    const asked = { ...request, reference: child.digest }
    if (child.data !== undefined && verifyDigest(child.digest, child.data)) {
      return verify(asked, { bytes: child.data, contentType: '' }).manifest
    }
    return (await this.#fetch(asked)).manifest
  }
}

/** Docker-Content-Digest is not looked at: what counts is what the bytes are. */
function verify(request: ImageRequest, { bytes, contentType }: RawManifest): Verified {
  const { reference } = request
  const hashed = signedPayload(bytes, contentType) ?? bytes
  if (isDigest(reference) && !verifyDigest(reference, hashed)) throw mismatch(request)
  const digest = isDigest(reference) ? reference : hashOf('sha256', hashed)
  const subject = { name: nameOf(request), digest, size: bytes.length }
  const manifest = parseManifest(bytes, contentType, subject)
  const { mediaType } = manifest
  return { descriptor: { digest, mediaType, size: bytes.length }, manifest }
}

function nameOf({ endpoint, repository, reference }: ImageRequest): string {
  return `${endpoint.host}/${repository}${isDigest(reference) ? '@' : ':'}${reference}`
}

function mismatch(request: ImageRequest): ResolveError {
  return new ResolveError(
    'DIGEST_INVALID',
    `${nameOf(request)}: the registry answered with something else than this digest`,
    { step: 'manifest', status: 200 },
  )
}

function noPlatform(
  request: ImageRequest,
  platform: Platform,
  children: readonly Pick<IndexChild, 'platform'>[],
): ResolveError {
  const there = children.map((child) =>
    child.platform === undefined ? 'one without a platform' : quote(formatPlatform(child.platform)),
  )
  const list = [...new Set(there)].slice(0, 20).join(', ')
  return new ResolveError(
    'PLATFORM_UNKNOWN',
    `${nameOf(request)} has nothing for ${formatPlatform(platform)}; there is ${list}`,
    { step: 'platform', status: 200 },
  )
}

/** @param cause what stands in the place of an image, of an index that has something there */
function noImage(
  name: string,
  { digest, mediaType, size }: Descriptor,
  cause?: ResolveError,
): ResolveError {
  const artifactType = cause?.found?.artifactType
  return new ResolveError(
    cause?.code ?? 'NOT_AN_IMAGE',
    cause?.message ?? `${name} is an index, and there is no image at all in it`,
    {
      step: 'manifest',
      status: 200,
      found: { digest, mediaType, size, ...(artifactType !== undefined && { artifactType }) },
      ...(cause !== undefined && { cause }),
    },
  )
}
