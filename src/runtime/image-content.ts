import type { ContentStore } from './content.ts'

/** An index of more platforms is looked at no further. */
const MAX_CHILDREN = 200
const SNAPSHOT_LABEL = 'containerd.io/gc.ref.snapshot.'

/** What a manifest names. */
export interface ImageBlobs {
  readonly config: string
  readonly layers: readonly { readonly digest: string; readonly size: number }[]
}

/**
 * Whether the runtime has everything that a container of the image needs: the manifest, the config,
 * and the layers as blobs or the snapshot that they were unpacked into. A name proves none of it: the
 * content of an image can be gone while its name is still there.
 *
 * @param target what the name stands for: a manifest or an index
 * @param imageId the digest of the config, as containerd's CRI part says it
 * @throws RuntimeError
 */
export async function isComplete(
  content: ContentStore,
  target: string,
  imageId: string,
): Promise<boolean> {
  const blobs = await imageBlobs(content, target, imageId)
  if (blobs === undefined) return false
  const config = await content.info(blobs.config)
  if (config === undefined) return false
  for (const [label, key] of Object.entries(config.labels)) {
    if (!label.startsWith(SNAPSHOT_LABEL)) continue
    if (await content.hasSnapshot(label.slice(SNAPSHOT_LABEL.length), key)) return true
  }
  for (const { digest } of blobs.layers) {
    if ((await content.info(digest)) === undefined) return false
  }
  return true
}

/**
 * The blobs of the image with that ID, through an index or not.
 *
 * @returns undefined: the manifest is not there, or not yet
 */
export async function imageBlobs(
  content: Pick<ContentStore, 'read'>,
  target: string,
  imageId: string,
): Promise<ImageBlobs | undefined> {
  const read = async (digest: string): Promise<Fields | undefined> =>
    fieldsOf(await content.read(digest))
  const top = await read(target)
  if (top === undefined) return undefined
  if (!Array.isArray(top['manifests'])) return blobsOf(top, imageId)
  for (const child of top['manifests'].slice(0, MAX_CHILDREN)) {
    const digest = isFields(child) ? child['digest'] : undefined
    const manifest = typeof digest === 'string' ? await read(digest) : undefined
    const blobs = manifest && blobsOf(manifest, imageId)
    if (blobs !== undefined) return blobs
  }
  return undefined
}

type Fields = Readonly<Record<string, unknown>>

function blobsOf({ config, layers }: Fields, imageId: string): ImageBlobs | undefined {
  if (!isFields(config) || config['digest'] !== imageId || !Array.isArray(layers)) return undefined
  return {
    config: imageId,
    layers: layers.filter(isFields).map(({ digest, size }) => ({
      digest: String(digest),
      size: Number(size) || 0,
    })),
  }
}

function fieldsOf(bytes: Buffer | undefined): Fields | undefined {
  try {
    const value: unknown = JSON.parse(bytes?.toString() ?? '')
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
