import { ResolveError } from '../errors.ts'
import { choosePlatform, type Platform } from '../reference/platform.ts'
import type { ImageManifest, IndexChild, Manifest } from './manifest.ts'

/** What an index has for a platform. */
export interface Chosen {
  readonly digest: string
  readonly manifest: ImageManifest
  readonly platform: Platform
}

/** Indexes in indexes, the outermost counted. */
const MAX_INDEX_LEVELS = 3
/** An index may send us on to children that turn out not to be images, but not for ever. */
const MAX_CHILDREN_ASKED = 8

/**
 * Finds a platform's manifest among the children of an index and of the indexes in it, in
 * containerd's order of preference.
 *
 * @param read gives a child's manifest
 * @returns undefined: there is none; an error with `found`: all that there is for it is no image
 * @throws what `read` throws
 */
export async function searchIndex(
  children: readonly IndexChild[],
  platform: Platform,
  read: (child: IndexChild) => Promise<Manifest>,
): Promise<Chosen | ResolveError | undefined> {
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
    const manifest = await read(child).catch((error: unknown) => {
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
  return (await descend(children, 1)) ?? unsupported
}

function isNoImage(error: unknown): error is ResolveError {
  return error instanceof ResolveError && error.found !== undefined
}
