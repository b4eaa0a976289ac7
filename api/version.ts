import { createRequire } from 'node:module'

// The package refers to itself by its name, which leads to the same file from the sources and from dist.
const { version } = createRequire(import.meta.url)('image-resolver/package.json')

/** Of the product, as package.json has it. */
export const VERSION: string = version
