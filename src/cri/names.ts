import type { FoundManifest } from '../errors.ts'
import {
  dockerRef,
  formatReference,
  type Reference,
  repositoryName,
} from '../reference/reference.ts'

const SCHEMA_1 = /docker\.distribution\.manifest\.v1\+/

/** The spelling that containerd stores and shows. */
export function canonicalName(reference: Reference): string {
  return formatReference(dockerRef(reference))
}

/**
 * The names that containerd gives to an image of that reference: without a tag where it has a digest.
 *
 * @param digest of the image; undefined: not known
 */
export function wantedNames(reference: Reference, digest: string | undefined): readonly string[] {
  if (reference.digest !== undefined) return [`${repositoryName(reference)}@${reference.digest}`]
  if (digest === undefined) return [canonicalName(reference)]
  return [canonicalName(reference), `${repositoryName(reference)}@${digest}`]
}

/**
 * Whether the runtime converts the manifest, which changes its digest: containerd converts schema 1, and
 * configs that docker before 1.10 pushed (containerd, remotes/docker/converter.go).
 */
export function isConverted({ artifactType, mediaType }: FoundManifest): boolean {
  return SCHEMA_1.test(mediaType) || artifactType === 'application/octet-stream'
}
