import { type ContentStore, type ImageBlobs, type Ingest, imageBlobs } from './content.ts'

/** What of one image is in the runtime's content store, and what is on its way. */
export interface ImageProgress {
  /** Changes with every byte that comes. */
  readonly state: string
  /** Everything is there: what is left is to unpack it. */
  readonly isWhole: boolean
  /** Of the image, manifests too, as far as they are there. */
  readonly bytes: number
  /** undefined: the manifest, which says what they are, is not there yet. */
  readonly layers:
    | {
        readonly done: number
        readonly total: number
        readonly bytes: number
        readonly totalBytes: number
      }
    | undefined
}

/** An image that is looked at. */
export interface WantedImage {
  /** Of the index or manifest that is asked for. */
  readonly digest: string
  /** Of the config; absent: not known, so that its layers are not either. */
  readonly imageId?: string | undefined
}

/**
 * Looks how far an image is, as often as it is called. Downloads of others count as its own before it has
 * any, since the runtime may let it wait for them.
 *
 * @returns rejects with RuntimeError: UNIMPLEMENTED in front of a runtime without a content store
 */
export function imageProgress(
  content: Pick<ContentStore, 'info' | 'ingests' | 'read'>,
  { digest, imageId }: WantedImage,
): () => Promise<ImageProgress> {
  const sizes = new Map<string, number>()
  let blobs: ImageBlobs | undefined

  async function isThere(blob: string): Promise<boolean> {
    if (sizes.has(blob)) return true
    const found = await content.info(blob)
    if (found !== undefined) sizes.set(blob, found.size)
    return found !== undefined
  }

  return async () => {
    const ingests = await content.ingests()
    if (imageId !== undefined) blobs ??= await imageBlobs(content, digest, imageId)
    const known = new Set([digest, ...(blobs ? [blobs.config] : [])])
    for (const layer of blobs?.layers ?? []) known.add(layer.digest)
    let isWhole = blobs !== undefined
    for (const blob of known) isWhole = (await isThere(blob)) && isWhole
    const own = ingests.filter((ingest) => known.has(digestOf(ingest)))
    const came = new Map(own.map((ingest) => [digestOf(ingest), ingest.offset]))
    return {
      state: stateOf(own.length > 0 ? own : ingests, sizes.size),
      isWhole,
      bytes: sum(sizes.values()) + sum(came.values()),
      layers: blobs && layersOf(blobs, sizes, came),
    }
  }
}

function digestOf({ ref }: Ingest): string {
  return ref.slice(ref.indexOf('-') + 1)
}

/** A layer that occurs twice comes once. */
function layersOf(
  blobs: ImageBlobs,
  sizes: ReadonlyMap<string, number>,
  came: ReadonlyMap<string, number>,
): ImageProgress['layers'] {
  const layers = new Map(blobs.layers.map(({ digest, size }) => [digest, size]))
  const digests = [...layers.keys()]
  return {
    done: digests.filter((digest) => sizes.has(digest)).length,
    total: layers.size,
    bytes: sum(digests.map((digest) => sizes.get(digest) ?? came.get(digest) ?? 0)),
    totalBytes: sum(layers.values()),
  }
}

function stateOf(ingests: readonly Ingest[], there: number): string {
  const lines = ingests.map(({ ref, offset }) => `${ref} ${offset}`).sort()
  return [`${there} there`, ...lines].join('\n')
}

function sum(numbers: Iterable<number>): number {
  let total = 0
  for (const number of numbers) total += number
  return total
}
