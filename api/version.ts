import { createRequire } from 'node:module'

/** Put in by the build; the sources have none. */
declare const IMAGE_RESOLVER_COMMIT: string | undefined
declare const IMAGE_RESOLVER_VERSION: string | undefined

/** Of the product, as package.json has it. The package refers to itself by its name. */
export const VERSION: string =
  typeof IMAGE_RESOLVER_VERSION === 'undefined'
    ? createRequire(import.meta.url)('image-resolver/package.json').version
    : IMAGE_RESOLVER_VERSION

/** Of the repository that it was built from; '' where that is not known. */
export const COMMIT: string =
  typeof IMAGE_RESOLVER_COMMIT === 'undefined' ? '' : IMAGE_RESOLVER_COMMIT
