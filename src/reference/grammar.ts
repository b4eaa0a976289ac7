/**
 * The grammar of image references, as distribution/reference defines it and containerd's CRI uses
 * it. What follows the domain, and the domain itself, are matched apart, because which part of
 * `a/b` is the domain is decided by Docker's rule (splitDomain) and not by the grammar.
 *
 *     reference    = [ domain "/" ] path [ ":" tag ] [ "@" digest ]
 *     domain       = ( hostname | "[" ipv6 "]" ) [ ":" port ]
 *     hostname     = label { "." label }
 *     label        = letters or digits, any case, with hyphens inside only
 *     ipv6         = hexadecimal digits and colons; no zone, no dotted tail
 *     port         = digit { digit }
 *     path         = component { "/" component }                 at most 255 characters in all
 *     component    = word { separator word }
 *     word         = lower-case letters or digits, at least one
 *     separator    = "." | "_" | "__" | "-" { "-" }
 *     tag          = word character, then up to 127 word characters, dots or hyphens
 *     digest       = algorithm ":" hexadecimal digits            checked by digest.ts
 *
 * Every expression is anchored and every repetition starts with a character that cannot end the
 * one before it, so a mismatch is found in time linear to the input.
 */

const label = '[a-zA-Z0-9]+(?:-+[a-zA-Z0-9]+)*'
const hostname = `${label}(?:\\.${label})*`
const ipv6 = '\\[[a-fA-F0-9:]+\\]'
const domain = `(?:${hostname}|${ipv6})(?::[0-9]+)?`

const word = '[a-z0-9]+'
const separator = '(?:[._]|__|-+)'
const component = `${word}(?:${separator}${word})*`
const path = `${component}(?:/${component})*`
const tag = '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}'

export const DOMAIN = new RegExp(`^${domain}$`)
export const COMPONENT = new RegExp(`^${component}$`)
export const TAG = new RegExp(`^${tag}$`)

/** What follows the domain. Groups: path, tag, digest (of any form). */
export const REMAINDER = new RegExp(`^(${path})(?::(${tag}))?(?:@([^@]*))?$`)

/** A sha256 without its algorithm: always an image ID, never a name. */
export const IDENTIFIER = /^[a-f0-9]{64}$/

export const PATH_MAX_LENGTH = 255

/** Docker Hub's domain in references; its registry has another host. */
export const DEFAULT_DOMAIN = 'docker.io'

/** The namespace of Docker Hub's images that are written without one. */
export const OFFICIAL_NAMESPACE = 'library/'

/** Docker Hub's oldest name. `registry-1.docker.io` is not an alias: containerd keeps it apart. */
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io'

export interface DomainSplit {
  readonly domain: string
  readonly remainder: string
}

/**
 * Docker's rule for which part of `a/b` is a domain (distribution/reference, splitDockerDomain):
 * the first part is one when it is `localhost`, holds a dot or a colon, or has an upper-case
 * letter, which no path may have. A lone part never is: `localhost:5000` is an image and its tag.
 * Nothing is validated here.
 */
export function splitDomain(input: string): DomainSplit {
  const slash = input.indexOf('/')
  if (slash < 0) return { domain: DEFAULT_DOMAIN, remainder: OFFICIAL_NAMESPACE + input }

  const first = input.slice(0, slash)
  const rest = input.slice(slash + 1)
  if (first === DEFAULT_DOMAIN || first === LEGACY_DEFAULT_DOMAIN) {
    const remainder = rest.includes('/') ? rest : OFFICIAL_NAMESPACE + rest
    return { domain: DEFAULT_DOMAIN, remainder }
  }
  return looksLikeDomain(first)
    ? { domain: first, remainder: rest }
    : { domain: DEFAULT_DOMAIN, remainder: input }
}

function looksLikeDomain(part: string): boolean {
  return (
    part === 'localhost' || part.includes('.') || part.includes(':') || part !== part.toLowerCase()
  )
}
