import type { Credentials } from '../registry/credentials.ts'
import { canonicalDomain } from '../registry/public-registries.ts'

/** Which images something is for, as the kubelet writes it: `*.corp:5000/team`. */
export interface ImagePattern {
  /** Lower case, without scheme and API version; the more it says, the later it sorts. */
  readonly text: string
  readonly labels: readonly Glob[]
  /** '' when none is written; it then matches a host without one only. */
  readonly port: string
  /** '' or `/team`. */
  readonly path: string
}

export interface ImagePlace {
  readonly labels: readonly string[]
  /** '' when there is none. */
  readonly port: string
  /** `/team/app`. */
  readonly path: string
}

const PARTS =
  /^(?:https?:\/\/)?(?<name>\[[0-9a-f:.]+\]|[^:/@]+)(?::(?<port>\d+))?(?<path>\/[^?#]*)?$/i

/**
 * Parses the key of an image pull secret or one of `matchImages`. `/v1/` and `/v2/`, which old
 * clients wrote behind the host, are no part of the path.
 *
 * @returns undefined when it is none
 */
export function parseImagePattern(text: string): ImagePattern | undefined {
  const { name, port: digits = '', path = '' } = PARTS.exec(text.trim())?.groups ?? {}
  if (name === undefined) return undefined
  const host = canonicalDomain(digits === '' ? name : `${name}:${digits}`)
  // A public registry goes without the port of https.
  const port = digits !== '' && host.endsWith(`:${digits}`) ? digits : ''
  const labels = splitLabels(port === '' ? host : host.slice(0, -port.length - 1))
  if (labels === undefined) return undefined
  const scope = path.replace(/^\/v[12](?=\/|$)/, '').replace(/^\/$/, '')
  return { text: host + scope, labels, port, path: scope }
}

/**
 * Where an image is, in the parts that are matched.
 *
 * @param host `host[:port]`; every name of Docker Hub is one
 */
export function imageAt(host: string, repository: string): ImagePlace {
  const { name = '', port = '' } = PARTS.exec(canonicalDomain(host))?.groups ?? {}
  return {
    labels: name.startsWith('[') ? [name] : name.split('.'),
    port,
    path: `/${repository}`,
  }
}

/**
 * The kubelet's rule: as many labels, each of which matches; the same port; and the image's path
 * begins with the pattern's (kubernetes.io, "Configure a kubelet image credential provider").
 */
export function matchesImage(pattern: ImagePattern, { labels, port, path }: ImagePlace): boolean {
  return (
    port === pattern.port &&
    labels.length === pattern.labels.length &&
    path.startsWith(pattern.path) &&
    pattern.labels.every((glob, index) => matchesGlob(glob, labels[index] ?? ''))
  )
}

function splitLabels(name: string): readonly Glob[] | undefined {
  // The brackets of an IPv6 address are not those of a set of characters.
  if (/^\[[0-9a-f:.]*:[0-9a-f:.]*\]$/.test(name)) return [literally(name)]
  const globs = name.split('.').map(parseGlob)
  return globs.includes(undefined) ? undefined : globs.filter((glob) => glob !== undefined)
}

function literally(text: string): Glob {
  return [...text].map((expected) => (character: string) => character === expected)
}

/** Credentials by image pattern, found as the kubelet finds them. */
export class Keyring {
  readonly #keys: readonly { readonly pattern: ImagePattern; readonly credentials: Credentials }[]

  /** Keys that are no pattern are left out; of equal ones the first stays ahead. */
  constructor(pairs: Iterable<readonly [key: string, credentials: Credentials]>) {
    this.#keys = [...pairs]
      .flatMap(([key, credentials]) => {
        const pattern = parseImagePattern(key)
        return pattern === undefined ? [] : [{ pattern, credentials }]
      })
      .sort((one, other) => backwards(one.pattern.text, other.pattern.text))
  }

  find(host: string, repository: string): Credentials | undefined {
    const image = imageAt(host, repository)
    return this.#keys.find(({ pattern }) => matchesImage(pattern, image))?.credentials
  }
}

/** The kubelet sorts its keys backwards: a longer path before a shorter one, letters before `*`. */
function backwards(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? 1 : -1
}

/** A pattern in pieces: each takes one character, `'*'` any number of them. */
export type Glob = readonly ('*' | ((character: string) => boolean))[]

const PIECE =
  /\*|\?|\\(?<escaped>.)|\[(?!\^\])(?<not>\^?)(?<ranges>(?:\\.|[^\\\]])+)\]|(?<literal>[^*?\\[])/y
const RANGE = /(?:\\(.)|([^\\-]))(?:-(?:\\(.)|([^\\-])))?/y

/**
 * Parses a pattern of Go's path.Match: `*`, `?`, `[a-z]`, `[^a-z]`, `\c`. Written for one label of a
 * host name, so nothing in it is a separator.
 *
 * @returns undefined when it is malformed; Go, too, then matches nothing
 */
export function parseGlob(pattern: string): Glob | undefined {
  const glob: Glob[number][] = []
  PIECE.lastIndex = 0
  while (PIECE.lastIndex < pattern.length) {
    const piece = PIECE.exec(pattern)
    if (piece === null) return undefined
    const { escaped, not, ranges, literal } = piece.groups ?? {}
    if (ranges !== undefined) {
      const contains = parseRanges(ranges)
      if (contains === undefined) return undefined
      glob.push(not === '^' ? (character) => !contains(character) : contains)
    } else if (piece[0] === '*' || piece[0] === '?') {
      glob.push(piece[0] === '*' ? '*' : () => true)
    } else {
      const expected = escaped ?? literal
      glob.push((character) => character === expected)
    }
  }
  return glob
}

/** In time proportional to both lengths, whatever the pattern is. */
export function matchesGlob(glob: Glob, text: string): boolean {
  let piece = 0
  let star = -1
  let resume = 0
  let index = 0
  while (index < text.length) {
    const expected = glob[piece]
    if (expected === '*') {
      star = piece++
      resume = index
    } else if (expected?.(text.charAt(index))) {
      piece++
      index++
    } else if (star >= 0) {
      piece = star + 1
      index = ++resume
    } else {
      return false
    }
  }
  return glob.slice(piece).every((rest) => rest === '*')
}

function parseRanges(text: string): ((character: string) => boolean) | undefined {
  const ranges: { readonly from: string; readonly to: string }[] = []
  RANGE.lastIndex = 0
  while (RANGE.lastIndex < text.length) {
    const range = RANGE.exec(text)
    if (range === null) return undefined
    const from = range[1] ?? range[2] ?? ''
    ranges.push({ from, to: range[3] ?? range[4] ?? from })
  }
  return (character) => ranges.some(({ from, to }) => from <= character && character <= to)
}
