import { ResolveError } from '../errors.ts'
import { isDigest } from './digest.ts'
import {
  DEFAULT_DOMAIN,
  DOMAIN,
  IDENTIFIER,
  OFFICIAL_NAMESPACE,
  PATH_MAX_LENGTH,
  REMAINDER,
  splitDomain,
} from './grammar.ts'
import { describeMistake } from './mistake.ts'
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
 * Stricter than that library in one case: `foo_bar.com/app`, whose first part is neither a valid
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
