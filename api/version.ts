import { readFileSync } from 'node:fs'

/** Put in by the build; the sources have none. */
declare const IMAGE_RESOLVER_COMMIT: string | undefined
declare const IMAGE_RESOLVER_VERSION: string | undefined
declare const IMAGE_RESOLVER_PACKAGE: string | undefined

const NAME = 'image-resolver'
/** From this file, or from that of the bundle. */
const PACKAGE =
  typeof IMAGE_RESOLVER_PACKAGE === 'undefined' ? '../package.json' : IMAGE_RESOLVER_PACKAGE

/** Of the product, as package.json has it. */
export const VERSION: string = packageVersion()

function packageVersion(): string {
  try {
    // To have Node find the package by its name takes a millisecond of each start.
    const { name, version } = JSON.parse(
      readFileSync(new URL(PACKAGE, import.meta.url), { encoding: 'utf8' }),
    )
    if (name !== NAME) throw new Error(`${PACKAGE} is that of ${name}`)
    return version
  } catch (thrown) {
    // The bundle may be used without its package.
    if (typeof IMAGE_RESOLVER_VERSION === 'undefined') throw thrown
    return IMAGE_RESOLVER_VERSION
  }
}

/** Of the repository that it was built from; '' where that is not known. */
export const COMMIT: string =
  typeof IMAGE_RESOLVER_COMMIT === 'undefined' ? '' : IMAGE_RESOLVER_COMMIT
