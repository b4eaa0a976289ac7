import type { CriVersion } from '../runtime/types.ts'
import type { Link } from './upstream.ts'

const SHOWS_IMAGES = /\.ImageService\/(?:ListImages|ImageStatus|StreamImages)$/

/**
 * Puts the names of images right where something is left to do, so that no call shows a name that an
 * interrupted pull has left.
 *
 * @param isUp whether the runtime answers, so that it is worth waiting for
 * @returns undefined: nothing is left; never rejects
 */
export type Settle = (isUp: boolean) => Promise<void> | undefined

/**
 * @param asked the version of CRI that the caller speaks
 * @returns the version in which the runtime is spoken to, once the call may go on
 */
export function whenSettled(
  link: Pick<Link, 'isUp' | 'spoken'>,
  path: string,
  asked: CriVersion,
  settle: Settle | undefined,
): CriVersion | Promise<CriVersion> {
  const spoken = link.spoken(asked)
  if (settle === undefined || !SHOWS_IMAGES.test(path)) return spoken
  if (!(spoken instanceof Promise)) {
    return settle(link.isUp())?.then(() => spoken) ?? spoken
  }
  return spoken.then(async (version) => {
    await settle(link.isUp())
    return version
  })
}
