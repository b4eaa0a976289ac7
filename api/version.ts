import { createRequire } from 'node:module'

/** Put in by the build; the sources have none. */
declare const IMAGE_RESOLVER_COMMIT: string | undefined
declare const IMAGE_RESOLVER_VERSION: string | undefined

/** Of the product, as package.json has it. */
export const VERSION: string = packageVersion()

function packageVersion(): string {
  try {
    // The package refers to itself by its name, which leads to the same file from the sources and from dist.
    return createRequire(import.meta.url)('image-resolver/package.json').version
  } catch (thrown) {
    // The bundle may be used without its package.
    if (typeof IMAGE_RESOLVER_VERSION === 'undefined') throw thrown
    return IMAGE_RESOLVER_VERSION
  }
}

/** Of the repository that it was built from; '' where that is not known. */
export const COMMIT: string =
  typeof IMAGE_RESOLVER_COMMIT === 'undefined' ? '' : IMAGE_RESOLVER_COMMIT
