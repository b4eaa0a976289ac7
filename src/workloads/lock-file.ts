import { CORE_SCHEMA, dump, load, YAMLException } from 'js-yaml'
import { ResolveError } from '../errors.ts'
import { fieldsOf, isFields } from '../json.ts'
import { isDigest } from '../reference/digest.ts'
import type { LocatedImage } from './pin.ts'

/** What is known of one tag. */
interface LockedImage {
  readonly digest: string
  /** Image IDs by platform, as far as they were asked for. */
  readonly platforms: Readonly<Record<string, string>>
  /** The registry that said so. */
  readonly registry: string
  /** When it said so first (RFC 3339). */
  readonly verifiedAt: string
}

const VERSION = 1
const HEADER =
  '# What tags pointed at when they were pinned; written by image-resolver pin --lock.\n'

/** The lock file: normalised references with what they were pinned to. */
export class ImageLock {
  /** The one that all digests are of; undefined: they are as tags have them, of all platforms. */
  readonly platform: string | undefined
  readonly #images: Map<string, LockedImage>
  /** Whether anything was added that was not there. */
  isChanged = false

  /** @param images by normalised reference, without a digest */
  constructor(platform: string | undefined, images: ReadonlyMap<string, LockedImage> = new Map()) {
    this.platform = platform
    this.#images = new Map(images)
  }

  digest(reference: string): string | undefined {
    return this.#images.get(reference)?.digest
  }

  references(): readonly string[] {
    return [...this.#images.keys()]
  }

  /** Adds what a registry said. What it said before stays as it is, with its time. */
  add(reference: string, image: LocatedImage, now: string): void {
    const before = this.#images.get(reference)
    const isKnown =
      before?.digest === image.digest && before.platforms[image.platform] === image.imageId
    if (isKnown) return
    this.isChanged = true
    const platforms = { [image.platform]: image.imageId }
    this.#images.set(
      reference,
      before?.digest === image.digest
        ? { ...before, platforms: { ...before.platforms, ...platforms } }
        : { digest: image.digest, platforms, registry: image.registry, verifiedAt: now },
    )
  }

  /** In the order of the references, so that versions of it can be compared. */
  toString(): string {
    const sorted = [...this.#images].sort(([one], [other]) => (one < other ? -1 : 1))
    const images = Object.fromEntries(
      sorted.map(([reference, { platforms, ...image }]) => {
        const inOrder = Object.entries(platforms).sort(([one], [other]) => (one < other ? -1 : 1))
        return [reference, { ...image, platforms: Object.fromEntries(inOrder) }]
      }),
    )
    const head = { version: VERSION, ...(this.platform && { platform: this.platform }) }
    return HEADER + dump({ ...head, images }, { lineWidth: -1, schema: CORE_SCHEMA })
  }
}

/**
 * @param name of the file, for messages
 * @throws ResolveError CONFIG_INVALID for a text that is no lock file of this version
 */
export function parseLock(text: string, name: string): ImageLock {
  const fail = (message: string): never => {
    throw new ResolveError('CONFIG_INVALID', `${name} is no lock file: ${message}`)
  }
  const { images, platform, version } = fieldsOf(read(text, fail))
  if (version !== VERSION) fail(`its version is not ${VERSION}`)
  if (!isFields(images)) return fail('it has no images')
  const found = new Map<string, LockedImage>()
  for (const [reference, image] of Object.entries(images)) {
    const { digest, platforms, registry, verifiedAt } = fieldsOf(image)
    if (typeof digest !== 'string' || !isDigest(digest)) return fail(`${reference} has no digest`)
    const ids = Object.entries(fieldsOf(platforms)).map(([key, id]) => [key, textOf(id)])
    found.set(reference, {
      digest,
      platforms: Object.fromEntries(ids),
      registry: textOf(registry),
      verifiedAt: textOf(verifiedAt),
    })
  }
  return new ImageLock(textOf(platform) || undefined, found)
}

/** Of anything else aliases may make a text without end. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function read(text: string, fail: (message: string) => never): unknown {
  try {
    return load(text)
  } catch (thrown) {
    if (thrown instanceof YAMLException) fail(thrown.reason)
    throw thrown
  }
}
