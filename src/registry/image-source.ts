import { ResolveError } from '../errors.ts'
import { hashOf, isDigest, verifyDigest } from '../reference/digest.ts'
import { choosePlatform, formatPlatform, type Platform } from '../reference/platform.ts'
import { quote } from '../reference/quote.ts'
import { type RawManifest, RegistryClient } from './client.ts'
import type { Descriptor, ImageIdentity, ImageRequest } from './image.ts'
import { limited } from './limit.ts'
import {
  bareType,
  type ImageManifest,
  type IndexChild,
  type Manifest,
  parseManifest,
} from './manifest.ts'
import { MANIFEST_TYPES } from './media-types.ts'

export interface RegistryImagesOptions {
  /** Milliseconds since the epoch; default Date.now. */
  readonly now?: () => number
  /** Limit of one question to one registry, tokens and all; default 10000. */
  readonly attemptTimeoutMs?: number
  /** A certificate authority (PEM) trusted beside the well-known ones. */
  readonly ca?: string
}

/** A manifest whose bytes are the ones that its digest names. */
interface Verified {
  readonly descriptor: Descriptor
  readonly manifest: Manifest
}

interface Chosen {
  readonly digest: string
  readonly manifest: ImageManifest
  readonly platform: Platform
}

/** Indexes in indexes, the outermost counted. */
const MAX_INDEX_LEVELS = 3
/** An index may send us on to children that turn out not to be images, but not for ever. */
const MAX_CHILDREN_ASKED = 8

/**
 * Says which image a tag or digest is, by asking its registry. Nothing is believed: every body is
 * hashed, and what was asked for by digest has to have that digest.
 */
export class RegistryImages {
  readonly #client: RegistryClient
  readonly #attemptTimeoutMs: number

  constructor(options: RegistryImagesOptions = {}) {
    const { now = Date.now, attemptTimeoutMs = 10_000, ca } = options
    this.#attemptTimeoutMs = attemptTimeoutMs
    this.#client = new RegistryClient({
      now,
      exchangeTimeoutMs: attemptTimeoutMs,
      silenceTimeoutMs: attemptTimeoutMs,
      connectTimeoutMs: Math.min(attemptTimeoutMs, 5_000),
      ...(ca === undefined ? {} : { ca }),
    })
  }

  /**
   * One GET, two where an index is in between.
   *
   * @throws ResolveError with step and status: MANIFEST_UNKNOWN, PLATFORM_UNKNOWN, UNAUTHORIZED,
   * DENIED, TOOMANYREQUESTS (with retryAfterMs), UNSUPPORTED, DIGEST_INVALID, MANIFEST_INVALID,
   * UNAVAILABLE, DEADLINE_EXCEEDED, CANCELED
   */
  image(request: ImageRequest, platform: Platform): Promise<ImageIdentity> {
    return limited(request.signal, this.#attemptTimeoutMs, async (signal) => {
      const { descriptor, manifest } = await this.#fetch({ ...request, signal })
      const chosen =
        manifest.kind === 'image'
          ? { digest: descriptor.digest, manifest, platform }
          : await this.#search({ ...request, signal }, platform, manifest.children)
      return {
        ...descriptor,
        manifestDigest: chosen.digest,
        imageId: chosen.manifest.configDigest,
        platform: chosen.platform,
      }
    })
  }

  /** One HEAD: what a tag points at now. A GET more where the registry's HEAD leaves that out. */
  digest(request: ImageRequest): Promise<Descriptor> {
    return limited(request.signal, this.#attemptTimeoutMs, async (signal) => {
      const asked = { ...request, signal }
      const head = await this.#client.head(asked)
      const mediaType = bareType(head?.contentType ?? '')
      if (!head?.digest || head.size === undefined || !MANIFEST_TYPES.includes(mediaType)) {
        return (await this.#fetch(asked)).descriptor
      }
      if (isDigest(request.reference) && head.digest !== request.reference) throw mismatch(request)
      return { digest: head.digest, mediaType, size: head.size }
    })
  }

  /** Ends every connection. */
  close(): Promise<void> {
    return this.#client.close()
  }

  async #fetch(request: ImageRequest): Promise<Verified> {
    return verify(request, await this.#client.get(request))
  }

  /** Finds the platform's manifest in an index, in containerd's order of preference. */
  async #search(
    request: ImageRequest,
    platform: Platform,
    children: readonly IndexChild[],
  ): Promise<Chosen> {
    let asked = 0
    let unsupported: ResolveError | undefined
    const descend = async (
      candidates: readonly IndexChild[],
      level: number,
    ): Promise<Chosen | undefined> => {
      const child = choosePlatform(platform, candidates)
      if (child === undefined || asked === MAX_CHILDREN_ASKED) return undefined
      asked += 1
      const others = candidates.filter((candidate) => candidate !== child)
      const manifest = await this.#child(request, child).catch((error: unknown) => {
        // An artifact that passes for an image in its index; another child may be the image.
        if (!isNoImage(error)) throw error
        unsupported = error
        return undefined
      })
      if (manifest?.kind === 'image') {
        return { digest: child.digest, manifest, platform: child.platform ?? platform }
      }
      const found =
        manifest !== undefined && level < MAX_INDEX_LEVELS
          ? await descend(manifest.children, level + 1)
          : undefined
      return found ?? descend(others, level)
    }
    const chosen = await descend(children, 1)
    if (chosen === undefined) throw unsupported ?? noPlatform(request, platform, children)
    return chosen
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

function isNoImage(error: unknown): error is ResolveError {
  return error instanceof ResolveError && error.code === 'UNSUPPORTED' && error.status === 200
}

/** Docker-Content-Digest is not looked at: what counts is what the bytes are. */
function verify(request: ImageRequest, { bytes, contentType }: RawManifest): Verified {
  const { reference } = request
  if (isDigest(reference) && !verifyDigest(reference, bytes)) throw mismatch(request)
  const digest = isDigest(reference) ? reference : hashOf('sha256', bytes)
  const manifest = parseManifest(bytes, contentType, nameOf(request))
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
  children: readonly IndexChild[],
): ResolveError {
  const there = children.map((child) =>
    child.platform === undefined ? 'one without a platform' : quote(formatPlatform(child.platform)),
  )
  const list = there.length === 0 ? 'no image at all' : [...new Set(there)].slice(0, 20).join(', ')
  return new ResolveError(
    'PLATFORM_UNKNOWN',
    `${nameOf(request)} has nothing for ${formatPlatform(platform)}; there is ${list}`,
    { step: 'platform', status: 200 },
  )
}
