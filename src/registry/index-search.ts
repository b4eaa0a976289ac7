import { ResolveError } from '../errors.ts'
import { choosePlatform, type Platform } from '../reference/platform.ts'
import type { ImagePlatform } from './image.ts'
import type { ImageManifest, IndexChild, Manifest } from './manifest.ts'

/** What an index has for a platform. */
export interface Chosen {
  readonly digest: string
  readonly manifest: ImageManifest
  readonly platform: ImagePlatform
}

export interface IndexReader {
  /** Gives a child's manifest. */
  readonly read: (child: IndexChild) => Promise<Manifest>
  /**
   * The platform of a child for which its index names none.
   *
   * @param isOneOfSeveral there are others like it, so that nothing may be assumed
   * @returns undefined: it is not for the platform that is looked for, or is not known to be
   */
  readonly platformOf: (
    manifest: ImageManifest,
    isOneOfSeveral: boolean,
  ) => Promise<ImagePlatform | undefined>
}

/** Indexes in indexes, the outermost counted. */
const MAX_INDEX_LEVELS = 3
/** An index may send us on to children that turn out not to be images, but not for ever. */
const MAX_CHILDREN_ASKED = 8

/**
 * Finds a platform's manifest among the children of an index and of the indexes in it, in
 * containerd's order of preference: those without a platform last, each by what its config says.
 *
 * @returns undefined: there is none; an error with `found`: all that there is for it is no image
 * @throws what the reader throws
 */
export async function searchIndex(
  children: readonly IndexChild[],
  platform: Platform,
  { platformOf, read }: IndexReader,
): Promise<Chosen | ResolveError | undefined> {
  let asked = 0
  let unsupported: ResolveError | undefined
  const descend = async (
    candidates: readonly IndexChild[],
    level: number,
  ): Promise<Chosen | undefined> => {
    const isOneOfSeveral = candidates.filter((each) => each.platform === undefined).length > 1
    let left = candidates
    while (asked < MAX_CHILDREN_ASKED) {
      const child = choosePlatform(platform, left)
      if (child === undefined) return undefined
      asked += 1
      left = left.filter((candidate) => candidate !== child)
      const manifest = await read(child).catch((error: unknown) => {
        // An artifact that passes for an image in its index; another child may be the image.
        if (!isNoImage(error)) throw error
        unsupported = error
        return undefined
      })
      if (manifest?.kind === 'image') {
        const own = child.platform ?? (await platformOf(manifest, isOneOfSeveral))
        if (own !== undefined) return { digest: child.digest, manifest, platform: own }
      } else if (manifest !== undefined && level < MAX_INDEX_LEVELS) {
        const found = await descend(manifest.children, level + 1)
        if (found !== undefined) return found
      }
    }
    return undefined
  }
  return (await descend(children, 1)) ?? unsupported
}

function isNoImage(error: unknown): error is ResolveError {
  return error instanceof ResolveError && error.found !== undefined
}
