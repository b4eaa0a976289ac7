import { describeDigestMistake } from './digest.ts'
import {
  COMPONENT,
  DOMAIN,
  type DomainSplit,
  IDENTIFIER,
  OFFICIAL_NAMESPACE,
  PATH_MAX_LENGTH,
  TAG,
} from './grammar.ts'
import { quote } from './quote.ts'

/** One line on why this input is no reference and how to mend it; only for input that failed. */
export function describeMistake(input: string, { domain, remainder }: DomainSplit): string {
  if (input === '') return 'the reference is empty: write an image name, as in nginx:latest'
  if (IDENTIFIER.test(input)) {
    return `${quote(input)} is an image ID: a reference names an image, as in nginx:latest`
  }
  const url = /^[a-z][a-z0-9+.-]{0,31}:\/\//i.exec(input)
  if (url !== null) {
    return `${quote(input)} is a URL: drop ${url[0]}, a reference starts with the registry's host`
  }
  const at = input.indexOf('@')
  if (at >= 0 && input.indexOf('/', at) >= 0) {
    return (
      `reference ${quote(input)} has an @ before a slash: a digest comes last, and credentials ` +
      'belong in the configuration'
    )
  }
  const space = input.search(/[\s\p{Cc}]/u)
  if (space >= 0) {
    return `reference ${quote(input)} has white space or a control character at position ${space + 1}`
  }
  if (!DOMAIN.test(domain)) {
    return (
      `the domain ${quote(domain)} of reference ${quote(input)} is not valid: letters, digits, ` +
      'dots and inner hyphens, or IPv6 in square brackets, then perhaps a colon and a port number'
    )
  }
  return describeRemainderMistake(input, remainder)
}

function describeRemainderMistake(input: string, remainder: string): string {
  const at = remainder.indexOf('@')
  const named = at < 0 ? remainder : remainder.slice(0, at)
  const colon = named.indexOf(':')
  const path = colon < 0 ? named : named.slice(0, colon)
  const tag = colon < 0 ? undefined : named.slice(colon + 1)

  const pathMistake = describePathMistake(input, path)
  if (pathMistake !== undefined) return pathMistake
  if (tag !== undefined && !TAG.test(tag)) {
    return (
      `the tag ${quote(tag)} of reference ${quote(input)} is not valid: up to 128 letters, ` +
      'digits, underscores, dots and hyphens, the first no dot and no hyphen'
    )
  }
  return `reference ${quote(input)}: ${describeDigestMistake(remainder.slice(at + 1))}`
}

function describePathMistake(input: string, path: string): string | undefined {
  const typed = input.includes(path) ? path : path.slice(OFFICIAL_NAMESPACE.length)
  if (typed === '') return `reference ${quote(input)} names no repository`
  const lower = typed.toLowerCase()
  if (lower !== typed && lower.split('/').every((component) => COMPONENT.test(component))) {
    return `the repository name ${quote(typed)} has upper-case letters: write ${quote(lower)}`
  }
  if (path.length > PATH_MAX_LENGTH) {
    return `the repository name of ${quote(input)} is ${path.length} characters long, at most ${PATH_MAX_LENGTH} are allowed`
  }
  const part = path.split('/').find((component) => !COMPONENT.test(component))
  if (part === undefined) return undefined
  if (part === '') return `the repository name in ${quote(input)} has an empty part beside a slash`
  return (
    `${quote(part)} in the repository name of ${quote(input)} is not valid: lower-case letters ` +
    'and digits, with a dot, one or two underscores, or hyphens between them'
  )
}
