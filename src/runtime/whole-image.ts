import { LRUCache } from 'lru-cache'
import { type ContentStore, imageBlobs, SNAPSHOT_LABEL } from './content.ts'
import type { NameTable } from './names/name-table.ts'
import type { NamingOptions, NodeImage, WholeImage } from './types.ts'

export interface WholeImagesOptions {
  readonly table: Pick<NameTable, 'get'>
  readonly content: Pick<ContentStore, 'info' | 'read' | 'hasSnapshot'>
  /** ImageStatus of the runtime. */
  readonly imageStatus: (image: string, options: NamingOptions) => Promise<NodeImage | undefined>
  /** Where it keeps images. */
  readonly imageFolders: () => Promise<readonly string[]>
  /** Forgets what is known of the runtime when its connection is lost. */
  readonly onLost: (listener: () => void) => void
}

/** What an image consists of, which its digests fix for ever. */
interface Parts {
  /** Index, manifest and config; each names the next one. */
  readonly blobs: readonly string[]
  /** Of the top snapshot, which all others are below of. */
  readonly snapshot: string
}

const MAX_IMAGES = 1_000
/** containerd names these folders after its snapshotters, unless it is configured otherwise. */
const SNAPSHOTTER = /\/io\.containerd\.snapshotter\.v1\.([^/]+)\/?$/

/**
 * Finds images of containerd of which nothing is missing that its own pull would bring back: index,
 * manifest and config, the labels that keep garbage collection off them, and the top snapshot. It does not
 * fetch layers again whose snapshot is there, with or without `discard_unpacked_layers`; so their blobs do
 * not matter.
 *
 * @returns as ImageNames.whole
 */
export function createWholeImages(
  options: WholeImagesOptions,
): (name: string, options?: NamingOptions) => Promise<WholeImage | undefined> {
  const { content, imageFolders, imageStatus, table } = options
  const known = new LRUCache<string, Parts>({ max: MAX_IMAGES })
  let snapshotter: Promise<string | undefined> | undefined
  options.onLost(() => {
    snapshotter = undefined
  })

  /** The one that images are unpacked with; undefined: there may be several. */
  function theSnapshotter(): Promise<string | undefined> {
    if (snapshotter !== undefined) return snapshotter
    const asked = imageFolders().then((folders) => {
      const [name, ...others] = folders.map((folder) => SNAPSHOTTER.exec(folder)?.[1])
      return others.length === 0 ? name : undefined
    })
    snapshotter = asked
    asked.catch(() => {
      if (snapshotter === asked) snapshotter = undefined
    })
    return asked
  }

  async function partsOf(
    target: string,
    id: string,
    unpackedBy: string,
  ): Promise<Parts | undefined> {
    const key = `${unpackedBy} ${target} ${id}`
    const parts = known.get(key) ?? (await learn(target, id, unpackedBy))
    if (parts !== undefined) known.set(key, parts)
    return parts
  }

  async function learn(target: string, id: string, unpackedBy: string): Promise<Parts | undefined> {
    const image = await imageBlobs(content, target, id)
    const config = image && (await content.info(image.config))
    const snapshot = config?.labels[SNAPSHOT_LABEL + unpackedBy]
    if (image === undefined || snapshot === undefined) return undefined
    return { blobs: [...new Set([target, image.manifest, image.config])], snapshot }
  }

  async function isThere({ blobs, snapshot }: Parts, unpackedBy: string): Promise<boolean> {
    const [hasSnapshot, ...infos] = await Promise.all([
      content.hasSnapshot(unpackedBy, snapshot),
      ...blobs.map((digest) => content.info(digest)),
    ])
    const keptBy = [...blobs.slice(1), snapshot]
    const isKept = infos.every((info, index) =>
      Object.values(info?.labels ?? {}).includes(keptBy[index] ?? ''),
    )
    return hasSnapshot && isKept
  }

  return async (name, asked = {}) => {
    const [image, found, unpackedBy] = await Promise.all([
      imageStatus(name, asked),
      table.get(name),
      theSnapshotter(),
    ])
    if (image === undefined || found === undefined || unpackedBy === undefined) return undefined
    const { digest: target } = found.target
    const parts = await partsOf(target, image.id, unpackedBy)
    if (parts === undefined || !(await isThere(parts, unpackedBy))) return undefined
    return { id: image.id, names: [...image.repoTags, ...image.repoDigests], target }
  }
}
