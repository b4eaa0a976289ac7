import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Reference } from '../reference/reference.ts'
import type { ImageNames, WholeImage } from '../runtime/types.ts'
import { isForRuntimeClass } from './image-messages.ts'
import { canonicalName } from './names.ts'

/** How long it counts that an image was there: it may be removed while a registry takes its time. */
const FRESH_MS = 100

/** @returns the runtime's ID of an image; undefined: there is none, or the runtime cannot tell */
type FindWhole = (names: readonly string[], digest: string) => Promise<string | undefined>

/**
 * Looks, while registries are asked, for what a pull could find in the runtime already.
 *
 * @param request the PullImageRequest on the wire
 * @param now milliseconds of a monotonic clock
 * @returns finds the image that lacks nothing, is of that digest and has all of these names; it never
 * rejects
 */
export function lookForWhole(
  runtime: Pick<ImageNames, 'whole'>,
  reference: Reference,
  request: Buffer,
  signal: AbortSignal,
  now: () => number,
): FindWhole {
  if (isForRuntimeClass(request)) return async () => undefined
  const look = (): Promise<WholeImage | undefined> =>
    runtime.whole(canonicalName(reference), { signal }).catch(() => undefined)
  const lookedAt = now()
  // The request to the registry, for which the answer waits, goes out first.
  const early = nextTurn().then(look)
  return async (names, digest) => {
    const image = await (now() - lookedAt <= FRESH_MS ? early : look())
    if (image === undefined || (image.target ?? digest) !== digest) return undefined
    return names.every((name) => image.names.includes(name)) ? image.id : undefined
  }
}
