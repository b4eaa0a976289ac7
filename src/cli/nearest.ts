import { nearestName } from '../config/suggest.ts'

/**
 * `; did you mean registry status?`, or nothing where no name is near.
 *
 * @param known names of one word or of two; the second word alone means the two
 */
export function didYouMean(written: string, known: readonly string[]): string {
  const near = lastWordIs(written, known) ?? nearest(written, known)
  return near === undefined ? '' : `; did you mean ${near}?`
}

function nearest(written: string, known: readonly string[]): string | undefined {
  const [group, word] = written.split(' ', 2)
  if (word === undefined) return nearestName(written, known)
  const prefix = `${group} `
  const siblings = known.filter((name) => name.startsWith(prefix))
  // What two names have in common makes any two near.
  const near = nearestName(
    word,
    siblings.map((name) => name.slice(prefix.length)),
  )
  return near === undefined ? undefined : `${prefix}${near}`
}

function lastWordIs(written: string, known: readonly string[]): string | undefined {
  return known.find((name) => name.endsWith(` ${written}`))
}
