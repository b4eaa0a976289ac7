import { type ErrorCode, type FoundManifest, ResolveError } from '../errors.ts'
import { type Fields, fieldsOf, isFields, parseJson } from '../json.ts'
import { isDigest } from '../reference/digest.ts'
import type { Platform } from '../reference/platform.ts'
import { oneLine, quote } from '../reference/quote.ts'

export type Manifest = ImageManifest | ImageIndex

/** One platform's image. */
export interface ImageManifest {
  readonly kind: 'image'
  readonly mediaType: string
  /** Digest of the config: the image ID. */
  readonly configDigest: string
}

/** Images for several platforms. */
export interface ImageIndex {
  readonly kind: 'index'
  readonly mediaType: string
  /** Without attestations and artifacts. */
  readonly children: readonly IndexChild[]
}

export interface IndexChild {
  readonly digest: string
  readonly platform?: Platform
  /** The child itself, where the index embeds it; not yet verified. */
  readonly data?: Buffer
}

const MAX_CHILDREN = 1_000
const ATTESTATION = 'attestation-manifest'

/** A manifest, as error texts name it and by its bytes. */
export interface Subject {
  /** `registry/repository:tag` or `registry/repository@digest`. */
  readonly name: string
  readonly digest: string
  /** Bytes. */
  readonly size: number
}

/**
 * Reads a manifest or index (image-spec, "Image Manifest", "Image Index"; Docker's schema 2).
 *
 * @param contentType the answer's Content-Type, parameters allowed; '' or a generic one: the body decides
 * @throws ResolveError MANIFEST_INVALID; with `found` UNSUPPORTED for schema 1 and NOT_AN_IMAGE for
 * what is none
 */
export function parseManifest(bytes: Buffer, contentType: string, subject: Subject): Manifest {
  const declared = bareType(contentType)
  const body = parseBody(bytes, declared, subject)
  const mediaType = typeOf(body, declared, subject)
  return INDEX_TYPES.has(mediaType)
    ? parseIndex(body, mediaType, subject)
    : parseImage(body, mediaType, subject)
}

/**
 * What the digest of a signed schema 1 manifest is of: the JSON without the `signatures` that were put into
 * it (distribution, "Image Manifest V 2, Schema 1", "Signed Manifests").
 *
 * @returns undefined for anything else
 */
export function signedPayload(bytes: Buffer, contentType: string): Buffer | undefined {
  if (!SCHEMA1_TYPES.has(bareType(contentType))) return undefined
  try {
    const { signatures } = JSON.parse(bytes.toString()) as { signatures: { protected: string }[] }
    const told = Buffer.from(signatures[0]?.protected ?? '', 'base64url').toString()
    const { formatLength, formatTail } = JSON.parse(told) as Readonly<Record<string, unknown>>
    if (typeof formatLength !== 'number' || typeof formatTail !== 'string') return undefined
    return Buffer.concat([bytes.subarray(0, formatLength), Buffer.from(formatTail, 'base64url')])
  } catch {
    return undefined
  }
}

/** What an image's config says of the image (image-spec, "Image Configuration"). */
export interface ImageConfig {
  /** `os`, `architecture`, `variant`. Absent: one of the first two is missing. */
  readonly platform?: Platform
  /** When it was built (RFC 3339). Absent: it does not say, or the epoch, as reproducible builds do. */
  readonly created?: string
}

/** @returns nothing of what is no JSON */
export function parseConfig(config: Buffer): ImageConfig {
  const { os, architecture, created, variant } = fieldsOf(parseJson(config.toString()))
  const time = typeof created === 'string' ? Date.parse(created) : Number.NaN
  return {
    ...(isName(os) &&
      isName(architecture) && {
        platform: { os, architecture, ...(isName(variant) && { variant }) },
      }),
    ...(time > 0 && { created: new Date(time).toISOString() }),
  }
}

/** A media type without its parameters, lower case. */
export function bareType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
}

function parseBody(bytes: Buffer, declared: string, subject: Subject): Fields {
  const body = parseJson(bytes.toString())
  if (isFields(body)) return body
  const kind = declared === '' ? 'an answer' : quote(declared)
  throw refusal(
    'MANIFEST_INVALID',
    `${subject.name}: ${kind} that is no JSON object instead of a manifest`,
  )
}

function typeOf(body: Fields, declared: string, subject: Subject): string {
  const own = typeof body['mediaType'] === 'string' ? body['mediaType'] : undefined
  const type = GENERIC_TYPES.has(declared) ? (own ?? shapeOf(body)) : declared
  if (type === undefined) {
    throw refusal(
      'MANIFEST_INVALID',
      `${subject.name}: JSON that is neither an index nor a manifest`,
    )
  }
  if (SCHEMA1_TYPES.has(type) || body['schemaVersion'] === 1) {
    throw refusal(
      'UNSUPPORTED',
      `${subject.name} is a Docker schema 1 manifest, which has no image ID: push it again with a current client`,
      foundAs(subject, SCHEMA1_TYPES.has(type) ? type : SCHEMA1),
    )
  }
  if (!MANIFEST_TYPES.includes(type)) {
    const found = foundAs(subject, type, body)
    throw refusal('NOT_AN_IMAGE', `${subject.name} is no image but ${quote(type)}`, found)
  }
  // Some registries give OCI manifests Docker's type, or the other way round: the image is the same. Taken for
  // an index in one place and for a manifest in another, one digest would be two images.
  if (own !== undefined && !isAlike(own, type)) {
    throw refusal(
      'MANIFEST_INVALID',
      `${subject.name} came as ${type} but calls itself ${quote(own)}`,
    )
  }
  // An index and a manifest at once could be read in two ways under one digest (CVE-2021-41190).
  if ('manifests' in body && ('config' in body || 'layers' in body)) {
    throw refusal('MANIFEST_INVALID', `${subject.name} is an index and a manifest at once`)
  }
  return own ?? type
}

function isAlike(own: string, type: string): boolean {
  return MANIFEST_TYPES.includes(own) && INDEX_TYPES.has(own) === INDEX_TYPES.has(type)
}

/** The type of a body without `mediaType`. Only OCI allows that; Docker's config types are recognised. */
function shapeOf(body: Fields): string | undefined {
  if (Array.isArray(body['manifests'])) {
    const types = body['manifests'].map((child: unknown) => isFields(child) && child['mediaType'])
    return types.includes(DOCKER_MANIFEST) ? DOCKER_LIST : OCI_INDEX
  }
  if (!isFields(body['config'])) return body['schemaVersion'] === 1 ? '' : undefined
  const type = body['config']['mediaType']
  return typeof type === 'string' && type.includes('.docker.') ? DOCKER_MANIFEST : OCI_MANIFEST
}

function parseImage(body: Fields, mediaType: string, subject: Subject): ImageManifest {
  const { config, artifactType } = body as { config?: unknown; artifactType?: unknown }
  if (!isFields(config) || typeof config['digest'] !== 'string' || !isDigest(config['digest'])) {
    throw refusal('MANIFEST_INVALID', `${subject.name}: a manifest without a config digest`)
  }
  const configType = String(config['mediaType'])
  if (!CONFIG_TYPES.has(configType)) {
    const kind = typeof artifactType === 'string' ? artifactType : configType
    const found = { ...foundAs(subject, mediaType), artifactType: oneLine(kind) }
    throw refusal(
      'NOT_AN_IMAGE',
      `${subject.name} is no image but an artifact: ${quote(kind)}`,
      found,
    )
  }
  return { kind: 'image', mediaType, configDigest: config['digest'] }
}

function parseIndex(body: Fields, mediaType: string, subject: Subject): ImageIndex {
  const manifests: unknown = body['manifests']
  if (!Array.isArray(manifests)) {
    throw refusal('MANIFEST_INVALID', `${subject.name}: an index without \`manifests\``)
  }
  if (manifests.length > MAX_CHILDREN) {
    throw refusal(
      'MANIFEST_INVALID',
      `${subject.name}: an index of ${manifests.length} manifests; up to ${MAX_CHILDREN} are read`,
    )
  }
  const children = manifests.flatMap((child: unknown) => {
    if (!isFields(child) || typeof child['digest'] !== 'string' || !isDigest(child['digest'])) {
      throw refusal('MANIFEST_INVALID', `${subject.name}: an index with a child that has no digest`)
    }
    const parsed = parseChild(child, child['digest'])
    return mayBeImage(child) && parsed.platform?.os !== 'unknown' ? [parsed] : []
  })
  return { kind: 'index', mediaType, children }
}

/** BuildKit lists attestations in the index as children. */
function mayBeImage({ mediaType, artifactType, annotations }: Fields): boolean {
  if (typeof mediaType === 'string' && !MANIFEST_TYPES.includes(mediaType)) return false
  if (typeof artifactType === 'string' && !CONFIG_TYPES.has(artifactType)) return false
  return !isFields(annotations) || annotations['vnd.docker.reference.type'] !== ATTESTATION
}

function parseChild({ platform, data }: Fields, digest: string): IndexChild {
  return {
    digest,
    ...(isFields(platform) ? { platform: parsePlatformFields(platform) } : {}),
    ...(typeof data === 'string' ? { data: Buffer.from(data, 'base64') } : {}),
  }
}

/** A platform without its two names matches no machine. */
function parsePlatformFields({ os, architecture, variant }: Fields): Platform {
  return {
    os: typeof os === 'string' ? os : 'unknown',
    architecture: typeof architecture === 'string' ? architecture : 'unknown',
    ...(typeof variant === 'string' && variant !== '' ? { variant } : {}),
  }
}

/** As parsePlatform accepts it. */
function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) && value !== 'unknown'
}

function foundAs({ digest, size }: Subject, mediaType: string, body: Fields = {}): FoundManifest {
  const { artifactType } = body
  return {
    digest,
    mediaType: oneLine(mediaType),
    size,
    ...(typeof artifactType === 'string' && { artifactType: oneLine(artifactType) }),
  }
}

function refusal(code: ErrorCode, message: string, found?: FoundManifest): ResolveError {
  return new ResolveError(code, message, { step: 'manifest', status: 200, found })
}

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'

export const INDEX_TYPES: ReadonlySet<string> = new Set([OCI_INDEX, DOCKER_LIST])

/** The types of Accept. Without the header a registry may answer with schema 1, or with one platform. */
export const MANIFEST_TYPES: readonly string[] = [
  OCI_INDEX,
  DOCKER_LIST,
  OCI_MANIFEST,
  DOCKER_MANIFEST,
]

/** The config types of images. */
export const CONFIG_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
])

export const SCHEMA1 = 'application/vnd.docker.distribution.manifest.v1+json'

export const SCHEMA1_TYPES: ReadonlySet<string> = new Set([
  SCHEMA1,
  'application/vnd.docker.distribution.manifest.v1+prettyjws',
])

/** The types that file servers and proxies give to manifests. */
export const GENERIC_TYPES: ReadonlySet<string> = new Set([
  '',
  'application/json',
  'application/octet-stream',
  'binary/octet-stream',
  'text/plain',
])
