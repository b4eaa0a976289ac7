import { canonicalDomain } from '../registry/public-registries.ts'
import { type Glob, matchesGlob, parseGlob } from './glob.ts'

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
  const { name, port: written = '', path = '' } = PARTS.exec(text.trim())?.groups ?? {}
  if (name === undefined) return undefined
  const host = canonicalDomain(written === '' ? name : `${name}:${written}`)
  // A public registry goes without the port of https.
  const port = written !== '' && host.endsWith(`:${written}`) ? written : ''
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
