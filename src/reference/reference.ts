import { ResolveError } from '../errors.ts'
import { describeDigestMistake, isDigest } from './digest.ts'
import {
  COMPONENT,
  DEFAULT_DOMAIN,
  DOMAIN,
  type DomainSplit,
  IDENTIFIER,
  OFFICIAL_NAMESPACE,
  PATH_MAX_LENGTH,
  REMAINDER,
  splitDomain,
  TAG,
} from './grammar.ts'
import { quote } from './quote.ts'

/**
 * `[domain/]path[:tag][@digest]`, parsed with the distribution grammar and normalised:
 * `nginx` is docker.io, library/nginx.
 */
export interface Reference {
  readonly domain: string
  readonly path: string
  readonly tag: string | undefined
  /** `algorithm:hex`. */
  readonly digest: string | undefined
}

const DEFAULT_TAG = 'latest'

/** Well above any reference in use; the grammar does not bound the domain. */
const MAX_CHARACTERS = 4096

/**
 * Parses a reference as people write it: Docker Hub's domain and `library/` are filled in, no
 * default tag is added (distribution/reference, ParseNormalizedNamed). `sha256:` and 64 digits
 * parse as an image called sha256, as they do there; ask `isImageId` first where an ID may come.
 *
 * Stricter than that library in one case: `foo_bar.com/app`, of which the first part is neither a valid
 * domain nor, holding a dot, a namespace. There it becomes a name without any domain, which
 * cannot be pulled; here it is refused.
 *
 * Throws NAME_INVALID.
 */
export function parseNormalized(input: string): Reference {
  if (input.length > MAX_CHARACTERS) {
    throw new ResolveError(
      'NAME_INVALID',
      `the reference is ${input.length} characters long, at most ${MAX_CHARACTERS} are read`,
    )
  }
  const split = splitDomain(input)
  const match = REMAINDER.exec(split.remainder)
  const path = match?.[1]
  const digest = match?.[3]
  if (
    path === undefined ||
    path.length > PATH_MAX_LENGTH ||
    (digest !== undefined && !isDigest(digest)) ||
    (split.domain !== DEFAULT_DOMAIN && !DOMAIN.test(split.domain)) ||
    isBareId(input)
  ) {
    throw new ResolveError('NAME_INVALID', describeMistake(input, split))
  }
  return { domain: split.domain, path, tag: match?.[2], digest }
}

/** Adds `latest` when there is neither tag nor digest (TagNameOnly). */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference
  return { ...reference, tag: DEFAULT_TAG }
}

/**
 * Parses a reference to resolve: normalised, with the default tag, tag and digest both kept.
 * Throws NAME_INVALID, also for an image ID, which no registry can be asked for by name.
 */
export function parseReference(input: string): Reference {
  if (isImageId(input)) {
    throw new ResolveError(
      'NAME_INVALID',
      `${quote(input)} is an image ID: a reference names an image, as in nginx:latest`,
    )
  }
  return withDefaultTag(parseNormalized(input))
}

/** 64 hexadecimal digits, bare or after `sha256:`: an image ID and not a name (ParseAnyReference). */
export function isImageId(input: string): boolean {
  return isBareId(input) || (input.startsWith('sha256:') && isDigest(input))
}

/** The shape of the CRI path: a digest drops the tag, no digest brings one (ParseDockerRef). */
export function dockerRef(reference: Reference): Reference {
  if (reference.digest === undefined) return withDefaultTag(reference)
  return reference.tag === undefined ? reference : { ...reference, tag: undefined }
}

/** `domain/path[:tag][@digest]`. */
export function formatReference(reference: Reference): string {
  return repositoryName(reference) + suffix(reference)
}

/** `domain/path`. */
export function repositoryName({ domain, path }: Reference): string {
  return `${domain}/${path}`
}

/** As Docker shows it: `docker.io/library/nginx:1` is `nginx:1`. May parse to another reference. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference)
}

/** Checks the length first: nearly no reference has it. */
function isBareId(input: string): boolean {
  return input.length === 64 && IDENTIFIER.test(input)
}

function familiarName(reference: Reference): string {
  if (reference.domain !== DEFAULT_DOMAIN) return repositoryName(reference)
  const short = reference.path.slice(OFFICIAL_NAMESPACE.length)
  const official = reference.path.startsWith(OFFICIAL_NAMESPACE) && !short.includes('/')
  return official ? short : reference.path
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`)
}

/** One line on why this input is no reference and how to mend it; only for input that failed. */
function describeMistake(input: string, { domain, remainder }: DomainSplit): string {
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
