import { createHash } from 'node:crypto'

/** A strong entity tag of a body as it is before it is compressed. */
export function entityTag(text: string): string {
  return `"${createHash('sha1').update(text).digest('base64url')}"`
}

/** Of the same body compressed: other bytes need another strong tag (RFC 9110, 8.8.3.3). */
export function gzippedTag(tag: string): string {
  return `${tag.slice(0, -1)}-gzip"`
}

/**
 * Whether the client has it already, compressed or not.
 *
 * @param ifNoneMatch the header: `*`, or tags with commas between
 */
export function hasAlready(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  const known = [tag, gzippedTag(tag)]
  return ifNoneMatch.split(',').some((each) => known.includes(each.trim().replace(/^W\//, '')))
}
