import type { FoundManifest } from '../errors.ts'
import {
  dockerRef,
  formatReference,
  type Reference,
  repositoryName,
} from '../reference/reference.ts'

const SCHEMA_1 = /docker\.distribution\.manifest\.v1\+/

/** The one spelling that containerd stores and shows. */
export function canonicalName(reference: Reference): string {
  return formatReference(dockerRef(reference))
}

/**
 * The names that containerd gives to what it pulls by that reference: with a digest in it, no tag.
 *
 * @param digest what the reference leads to; undefined: not known
 */
export function wantedNames(reference: Reference, digest: string | undefined): readonly string[] {
  if (reference.digest !== undefined) return [`${repositoryName(reference)}@${reference.digest}`]
  if (digest === undefined) return [canonicalName(reference)]
  return [canonicalName(reference), `${repositoryName(reference)}@${digest}`]
}

/**
 * Whether the runtime makes a manifest of another digest of it: containerd does of schema 1, and of
 * configs that docker before 1.10 pushed (containerd, remotes/docker/converter.go).
 */
export function isConverted({ artifactType, mediaType }: FoundManifest): boolean {
  return SCHEMA_1.test(mediaType) || artifactType === 'application/octet-stream'
}
