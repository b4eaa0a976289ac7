export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'

export const INDEX_TYPES: ReadonlySet<string> = new Set([OCI_INDEX, DOCKER_LIST])

/** What we understand, and so ask for. Left out, a registry may answer with schema 1, or with one platform. */
export const MANIFEST_TYPES: readonly string[] = [
  OCI_INDEX,
  DOCKER_LIST,
  OCI_MANIFEST,
  DOCKER_MANIFEST,
]

/** What makes a manifest an image. */
export const CONFIG_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])

export const SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+json'

export const SCHEMA1_TYPES: ReadonlySet<string> = new Set([
  SCHEMA1,
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
])

/** Servers of plain files, and proxies, know no better. */
export const GENERIC_TYPES: ReadonlySet<string> = new Set([
  '',
  'application/json',
  'application/octet-stream',
  'binary/octet-stream',
  'text/plain',
])
