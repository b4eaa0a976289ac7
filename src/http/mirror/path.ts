import { ResolveError } from '../../errors.ts'
import { describeDigestMistake, isDigest } from '../../reference/digest.ts'
import { COMPONENT, TAG } from '../../reference/grammar.ts'
import { quote } from '../../reference/quote.ts'
import { parseNormalized, type Reference } from '../../reference/reference.ts'
import { canonicalDomain } from '../../registry/public-registries.ts'

/** What of a repository is asked for. */
export type MirrorKind = 'manifests' | 'blobs' | 'tags' | 'referrers'

export interface MirrorTarget {
  readonly kind: MirrorKind
  /** With the tag or digest, where there is one. */
  readonly reference: Reference
}

/** The end-points of reading (distribution-spec, "Endpoints"): end-2, end-3, end-8 and end-12. */
const PATH = /^(?<name>.+)\/(?:(?<kind>manifests|blobs|referrers)\/(?<reference>[^/]+)|tags\/list)$/

/**
 * Reads what is asked for.
 *
 * @param path below `/v2/`, decoded
 * @param ns the registry that the image is named after (distribution-spec, "Registry Proxying"): a domain as references have it.
 * Looked up among the registries as any reference's domain is; naming it here connects to nothing.
 * Absent: the name begins with the domain, or is one of docker.io
 * @returns undefined: there is no such end-point
 * @throws ResolveError NAME_INVALID, DIGEST_INVALID; MANIFEST_UNKNOWN for what cannot be a tag
 */
export function parsePath(path: string, ns: unknown): MirrorTarget | undefined {
  const { name, kind = 'tags', reference = '' } = PATH.exec(path)?.groups ?? {}
  if (name === undefined) return undefined
  const repository = parseRepository(name, ns)
  switch (kind) {
    case 'tags':
      return { kind, reference: repository }
    case 'manifests':
      return { kind, reference: { ...repository, ...parseManifestReference(reference) } }
    default:
      return {
        kind: kind === 'blobs' ? kind : 'referrers',
        reference: { ...repository, digest: requireDigest(reference) },
      }
  }
}

/**
 * Without `ns` the name is read as people write it: podman and CRI-O send no `ns`, and put the domain in
 * front of the path where their mirror's location ends in it. No user name of Docker Hub has a dot
 * in it.
 */
function parseRepository(name: string, ns: unknown): Reference {
  if (ns !== undefined && typeof ns !== 'string') {
    throw new ResolveError('NAME_INVALID', '`ns` is given twice')
  }
  const domain = ns === undefined ? undefined : canonicalDomain(ns)
  const whole = domain === undefined ? name : `${domain}/${name}`
  const parsed = name.split('/').every((each) => COMPONENT.test(each)) && parseNormalized(whole)
  if (parsed && (domain === undefined || parsed.domain === domain)) return parsed
  throw new ResolveError('NAME_INVALID', `${quote(whole)} is not a registry and a repository of it`)
}

function parseManifestReference(text: string): Pick<Reference, 'tag' | 'digest'> {
  if (text.includes(':')) return { tag: undefined, digest: requireDigest(text) }
  if (TAG.test(text)) return { tag: text, digest: undefined }
  // The conformance tests want this of it: what no tag can be is not there.
  throw new ResolveError('MANIFEST_UNKNOWN', `${quote(text)} is neither a tag nor a digest`)
}

function requireDigest(text: string): string {
  if (isDigest(text)) return text
  throw new ResolveError('DIGEST_INVALID', describeDigestMistake(text))
}
