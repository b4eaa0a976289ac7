import { LRUCache } from 'lru-cache'
import { type ContentStore, imageBlobs, SNAPSHOT_LABEL } from './content.ts'
import type { NameTable } from './names/name-table.ts'
import type { NamingOptions, NodeImage, WholeImage } from './types.ts'

export interface WholeImagesOptions {
  readonly table: Pick<NameTable, 'get' | 'lacksPin'>
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
  /** What its name stands for: an index or manifest. */
  readonly target: string
  readonly id: string
  readonly unpackedBy: string
  /** Index, manifest and config; each names the next one. */
  readonly blobs: readonly string[]
  /** Of the top snapshot, which all others are below of. */
  readonly snapshot: string
}

const MAX_NAMES = 1_000
/** containerd names these folders after its snapshotters, unless it is configured otherwise. */
const SNAPSHOTTER = /\/io\.containerd\.snapshotter\.v1\.([^/]+)\/?$/

/**
 * Finds images of containerd of which nothing is missing that its own pull would bring back: index,
 * manifest and config, the labels that keep garbage collection off them, and the top snapshot. It does not
 * fetch layers again where the snapshot is there, with or without `discard_unpacked_layers`; so their blobs do
 * not matter. What a name stood for when it was whole is looked for at once, beside what it stands for now: one round of
 * calls.
 *
 * @returns as ImageNames.whole
 */
export function createWholeImages(
  options: WholeImagesOptions,
): (name: string, options?: NamingOptions) => Promise<WholeImage | undefined> {
  const { content, imageFolders, imageStatus, table } = options
  const known = new LRUCache<string, Parts>({ max: MAX_NAMES })
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

  async function learn(target: string, id: string, unpackedBy: string): Promise<Parts | undefined> {
    const image = await imageBlobs(content, target, id)
    const config = image && (await content.info(image.config))
    const snapshot = config?.labels[SNAPSHOT_LABEL + unpackedBy]
    if (image === undefined || snapshot === undefined) return undefined
    const blobs = [...new Set([target, image.manifest, image.config])]
    return { target, id, unpackedBy, blobs, snapshot }
  }

  async function isThere({ blobs, snapshot, unpackedBy }: Parts): Promise<boolean> {
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

  /** @param before what it consisted of when it was whole; undefined: it has not been */
  async function look(
    name: string,
    asked: NamingOptions,
    before: Parts | undefined,
  ): Promise<{ readonly image: WholeImage; readonly parts: Parts } | undefined> {
    const named = table.get(name)
    // Most of what was never seen is not there.
    if (before === undefined && (await named) === undefined) return undefined
    const [image, found, unpackedBy, isThereStill] = await Promise.all([
      imageStatus(name, asked),
      named,
      theSnapshotter(),
      before !== undefined && isThere(before),
    ])
    if (image === undefined || found === undefined || unpackedBy === undefined) return undefined
    if (await table.lacksPin(found)) return undefined
    const { id, repoDigests, repoTags } = image
    const { digest: target } = found.target
    const isSame = before?.target === target && before.id === id && before.unpackedBy === unpackedBy
    const parts = isSame ? before : await learn(target, id, unpackedBy)
    if (parts === undefined || !(isSame ? isThereStill : await isThere(parts))) return undefined
    return { image: { id, names: [...repoTags, ...repoDigests], target }, parts }
  }

  return async (name, asked = {}) => {
    const found = await look(name, asked, known.get(name))
    if (found === undefined) known.delete(name)
    else known.set(name, found.parts)
    return found?.image
  }
}
