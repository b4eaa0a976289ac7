/**
 * The grammar of image references, as distribution/reference defines it and containerd's CRI uses
 * it. What follows the domain, and the domain itself, are matched apart, because which part of
 * `a/b` is the domain is decided by Docker's rule (see domain.ts) and not by the grammar.
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
