import type { Answer } from '../resolver/types.ts'

/** A digest names its image for ever, but the ranking around it follows the configuration. */
const DIGEST_MAX_AGE_SECONDS = 3600

/**
 * A client may keep an answer as long as the service itself does. Not what was asked to be asked
 * anew, not the state of the node, and nothing that was the best of a bad situation.
 *
 * @param volatile asked with `refresh`, `all` or `node`
 */
export function cacheControl(answer: Answer, volatile: boolean, now: number): string {
  if (volatile || answer.source === 'stale' || answer.source === 'node') return 'no-store'
  return `max-age=${Math.max(0, secondsLeft(answer, now))}`
}

/**
 * Where the answer comes from, in the words of RFC 9211.
 *
 * @param anew asked with `refresh` or `all`
 */
export function cacheStatus(answer: Answer, anew: boolean, now: number): string {
  switch (answer.source) {
    case 'cache':
    case 'stale':
      return `image-resolver; hit; ttl=${secondsLeft(answer, now)}`
    case 'registry':
      return `image-resolver; fwd=${anew ? 'request' : 'miss'}`
    case 'node':
      return 'image-resolver; fwd=miss; detail=node'
  }
}

function secondsLeft({ expiresAt }: Answer, now: number): number {
  if (expiresAt === undefined) return DIGEST_MAX_AGE_SECONDS
  return Math.floor((expiresAt - now) / 1000)
}
