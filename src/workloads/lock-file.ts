import { isMap, isScalar, parseDocument, stringify } from 'yaml'
import { ResolveError } from '../errors.ts'
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
  readonly #images: Map<string, LockedImage>
  /** Whether anything was added that was not there. */
  isChanged = false

  /** @param images by normalised reference, without a digest */
  constructor(images: ReadonlyMap<string, LockedImage> = new Map()) {
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
    return HEADER + stringify({ version: VERSION, images }, { lineWidth: 0 })
  }
}

/**
 * @param name of the file, for messages
 * @throws ResolveError CONFIG_INVALID for a text that is no lock file of this version
 */
export function parseLock(text: string, name: string): ImageLock {
  const document = parseDocument(text, { logLevel: 'silent', prettyErrors: false })
  const fail = (message: string): never => {
    throw new ResolveError('CONFIG_INVALID', `${name} is no lock file: ${message}`)
  }
  const [mistake] = document.errors
  if (mistake !== undefined) fail(mistake.message)
  if (document.get('version') !== VERSION) fail(`its version is not ${VERSION}`)
  const images = document.get('images')
  if (!isMap(images)) return fail('it has no images')
  const found = new Map<string, LockedImage>()
  for (const { key, value } of images.items) {
    const reference = String(isScalar(key) ? key.value : key)
    const digest = isMap(value) ? value.get('digest') : undefined
    if (!isMap(value) || typeof digest !== 'string' || !isDigest(digest)) {
      return fail(`${reference} has no digest`)
    }
    const platforms = value.get('platforms')
    found.set(reference, {
      digest,
      platforms: isMap(platforms) ? texts(platforms.toJSON()) : {},
      registry: String(value.get('registry') ?? ''),
      verifiedAt: String(value.get('verifiedAt') ?? ''),
    })
  }
  return new ImageLock(found)
}

function texts(object: object): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, String(value)]))
}
