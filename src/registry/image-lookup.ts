import { ResolveError } from '../errors.ts'
import { choosePlatform, formatPlatform, type Platform } from '../reference/platform.ts'
import { quote } from '../reference/quote.ts'
import type { Descriptor, ImageIdentity, ImagePlatform, ImageRequest } from './image.ts'
import type { ImageManifest, IndexChild } from './manifest.ts'
import { type ManifestFetcher, nameOf } from './manifest-fetcher.ts'

/** The image that a manifest or an index has for a platform. */
interface Found {
  readonly digest: string
  readonly manifest: ImageManifest
  readonly platform: ImagePlatform
}

/** Nesting of indexes, the outermost counted. */
const MAX_INDEX_LEVELS = 3
/** Children that are read for one answer: each may turn out to be no image. */
const MAX_CHILDREN = 8

/**
 * Which image a reference is for a platform: one GET, two where there is an index. One more where the caller
 * named the platform and no index says which one the image is for: then its config does.
 */
export class ImageLookup {
  readonly #manifests: ManifestFetcher
  readonly #request: ImageRequest
  readonly #wanted: Platform
  readonly #isAsked: boolean
  #childrenRead = 0
  /** The last child that turned out to be no image. */
  #noImage: ResolveError | undefined

  /** @param isAsked the caller named the platform: the answer is for it, or `assumed` if nothing says so */
  constructor(
    manifests: ManifestFetcher,
    request: ImageRequest,
    wanted: Platform,
    isAsked: boolean,
  ) {
    this.#manifests = manifests
    this.#request = request
    this.#wanted = wanted
    this.#isAsked = isAsked
  }

  /** @throws ResolveError PLATFORM_UNKNOWN, NOT_AN_IMAGE, and all that ManifestFetcher throws */
  async run(): Promise<ImageIdentity> {
    const { descriptor, manifest } = await this.#manifests.get(this.#request)
    const found =
      manifest.kind === 'image'
        ? await this.#single(descriptor, manifest)
        : await this.#fromIndex(descriptor, manifest.children)
    const { digest, mediaType, size } = descriptor
    // Each by its name: what is spread gives each object a hidden class of its own, of 400 bytes in the cache.
    return {
      digest,
      mediaType,
      size,
      manifestDigest: found.digest,
      imageId: found.manifest.configDigest,
      platform: found.platform,
    }
  }

  /** An image without an index. */
  async #single({ digest }: Descriptor, manifest: ImageManifest): Promise<Found> {
    const platform = await this.#platformOf(manifest, false)
    if (platform !== undefined) return { digest, manifest, platform }
    const { platform: named } = await this.#manifests.config(this.#request, manifest.configDigest)
    throw this.#noPlatform([named === undefined ? {} : { platform: named }])
  }

  async #fromIndex(index: Descriptor, children: readonly IndexChild[]): Promise<Found> {
    if (children.length === 0) throw noImage(nameOf(this.#request), index)
    const found = await this.#search(children, 1)
    if (found !== undefined) return found
    if (this.#noImage !== undefined) throw noImage(nameOf(this.#request), index, this.#noImage)
    throw this.#noPlatform(children)
  }

  /**
   * In containerd's order of preference. Children without a platform come last, each by what its config says.
   *
   * @param level of this index
   */
  async #search(children: readonly IndexChild[], level: number): Promise<Found | undefined> {
    const isOneOfSeveral = children.filter((each) => each.platform === undefined).length > 1
    let left = children
    while (this.#childrenRead < MAX_CHILDREN) {
      const child = choosePlatform(this.#wanted, left)
      if (child === undefined) return undefined
      this.#childrenRead += 1
      left = left.filter((candidate) => candidate !== child)
      const manifest = await this.#child(child)
      if (manifest?.kind === 'image') {
        const platform = child.platform ?? (await this.#platformOf(manifest, isOneOfSeveral))
        if (platform !== undefined) return { digest: child.digest, manifest, platform }
      } else if (manifest !== undefined && level < MAX_INDEX_LEVELS) {
        const found = await this.#search(manifest.children, level + 1)
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  /** @returns undefined for an artifact that its index lists as an image; another child may be the image */
  #child(child: IndexChild) {
    return this.#manifests.child(this.#request, child).catch((error: unknown) => {
      if (!(error instanceof ResolveError) || error.found === undefined) throw error
      this.#noImage = error
      return undefined
    })
  }

  /**
   * The platform of an image for which no index names one.
   *
   * @param isOneOfSeveral there are others like it, so that nothing may be assumed
   * @returns undefined: it is not for the platform that is wanted, or is not known to be
   */
  async #platformOf(
    { configDigest }: ImageManifest,
    isOneOfSeveral: boolean,
  ): Promise<ImagePlatform | undefined> {
    const { os, architecture, variant } = this.#wanted
    const assumed: ImagePlatform =
      variant === undefined
        ? { os, architecture, assumed: true }
        : { os, architecture, variant, assumed: true }
    if (!this.#isAsked && !isOneOfSeveral) return assumed
    const { platform: named } = await this.#manifests.config(this.#request, configDigest)
    if (named === undefined) return isOneOfSeveral ? undefined : assumed
    return choosePlatform(this.#wanted, [{ platform: named }]) && named
  }

  #noPlatform(children: readonly Pick<IndexChild, 'platform'>[]): ResolveError {
    const there = children.map(({ platform }) =>
      platform === undefined ? 'one without a platform' : quote(formatPlatform(platform)),
    )
    const list = [...new Set(there)].slice(0, 20).join(', ')
    return new ResolveError(
      'PLATFORM_UNKNOWN',
      `${nameOf(this.#request)} has nothing for ${formatPlatform(this.#wanted)}; there is ${list}`,
      { step: 'platform', status: 200 },
    )
  }
}

/** @param cause what the index has in the place of an image; absent: it has nothing */
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
      cause,
    },
  )
}
