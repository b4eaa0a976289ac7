import { createRequire } from 'node:module'

/** Put in by the build; the sources have none. */
declare const IMAGE_RESOLVER_COMMIT: string | undefined

// The package refers to itself by its name, which leads to the same file from the sources and from dist.
const { version } = createRequire(import.meta.url)('image-resolver/package.json')

/** Of the product, as package.json has it. */
export const VERSION: string = version

/** Of the repository that it was built from; '' where that is not known. */
export const COMMIT: string =
  typeof IMAGE_RESOLVER_COMMIT === 'undefined' ? '' : IMAGE_RESOLVER_COMMIT
