import { isDigest } from '../../reference/digest.ts'
import { formatReference, parseNormalized } from '../../reference/reference.ts'
import type { ImageIdentity, ImagePlatform } from '../../registry/image.ts'
import type { RankedReference, Resolution } from '../types.ts'
import type { CacheContent } from './cache.ts'
import type { KnownIdentity } from './digests.ts'

/** What decides whether an answer of one run may be given in another. */
export interface SnapshotScope {
  /** Names the configuration of registries: visible ASCII, and nothing secret, for it is written. */
  readonly configuration: string
  /** The cache's key of a question under this configuration by a caller without credentials. */
  readonly keyFor: (reference: string, platform: string) => string
}

export interface SnapshotHead {
  readonly format: string
  readonly version: number
  readonly configuration: string
}

/** What a snapshot held, the most recently used first. */
export interface SnapshotContent extends CacheContent {
  readonly where: readonly (readonly [key: string, resolution: Resolution])[]
  readonly what: readonly KnownIdentity[]
}

type Fields = Readonly<Record<string, unknown>>

export const FORMAT = 'image-resolver cache'
export const VERSION = 1
const MAX_TEXT = 8_192
/** Two for each registry that a configuration may name, and two for the origin. */
const MAX_REFERENCES = 1_024
const TOKEN = /^[!-~]+$/

export function headLine({ configuration }: SnapshotScope): string {
  const head: SnapshotHead = { format: FORMAT, version: VERSION, configuration }
  return JSON.stringify(head)
}

/**
 * One line for each answer that any caller may be given, and for each digest that none of them is
 * about; made as they are asked for, undefined for each that stays out. What a caller's credentials
 * brought to light does: its key is not the anonymous one.
 */
export function* contentLines(
  content: CacheContent,
  scope: SnapshotScope,
): Generator<string | undefined> {
  const told = new Set<string>()
  for (const [key, resolution] of content.where) {
    const [, , asked = ''] = key.split(' ')
    const isAnybodys = scope.keyFor(resolution.reference, asked) === key
    const line = isAnybodys ? whereLine(asked, resolution) : undefined
    if (line !== undefined) told.add(`${resolution.digest} ${asked}`)
    yield line
  }
  for (const { asked, identity } of content.what) {
    const isTold = told.has(`${identity.digest} ${asked}`)
    yield isTold ? undefined : whatLine(asked, identity)
  }
}

/** Only what has been looked at is written, as it is when it is read. */
function whereLine(asked: string, resolution: Resolution): string | undefined {
  const value = { asked, ...resolution, platform: told(resolution.platform) }
  const known = asWhat(value)
  const checked = known && asResolution(value, known)
  if (checked === undefined) return undefined
  const { attempts, source, ...where } = checked
  return JSON.stringify({ where: { asked, ...where, platform: told(where.platform) } })
}

function whatLine(asked: string, identity: ImageIdentity): string | undefined {
  const platform = told(identity.platform)
  const known = asWhat({ asked, ...identity, platform })
  return known && JSON.stringify({ what: { asked, ...known.identity, platform } })
}

/** A file says of each platform whether it is assumed: former versions did not know. */
function told(platform: ImagePlatform) {
  return { ...platform, assumed: platform.assumed === true }
}

/** @returns undefined for anything that is not a head, of whatever version */
export function parseHead(line: string): SnapshotHead | undefined {
  const { format, version, configuration } = parseFields(line)
  if (typeof format !== 'string' || typeof version !== 'number') return undefined
  return { format, version, configuration: isToken(configuration) ? configuration : '' }
}

/** Collects what lines say. Nothing that they hold is believed without having been looked at. */
export class ContentReader {
  readonly #scope: SnapshotScope
  readonly #sameConfiguration: boolean
  readonly #where: (readonly [string, Resolution])[] = []
  readonly #what: KnownIdentity[] = []

  constructor(scope: SnapshotScope, { configuration }: SnapshotHead) {
    this.#scope = scope
    this.#sameConfiguration = configuration === scope.configuration
  }

  get content(): SnapshotContent {
    return { where: this.#where, what: this.#what }
  }

  /** @returns whether it is a line such as `contentLines` makes */
  read(line: string): boolean {
    const { where, what } = parseFields(line)
    const known = asWhat(where ?? what)
    if (known === undefined) return false
    if (where !== undefined) {
      const resolution = asResolution(where, known)
      if (resolution === undefined) return false
      const key = this.#scope.keyFor(resolution.reference, known.asked)
      if (this.#sameConfiguration) this.#where.push([key, resolution])
    }
    this.#what.push(known)
    return true
  }
}

/** `os/architecture[/variant]` and the image that a digest is for it. */
function asWhat(value: unknown): KnownIdentity | undefined {
  const { asked, digest, mediaType, size, manifestDigest, imageId, platform } = fieldsOf(value)
  const { os, architecture, variant, assumed } = fieldsOf(platform)
  if (!isToken(asked) || !isToken(mediaType) || !isCount(size)) return undefined
  if (!isDigestText(digest) || !isDigestText(manifestDigest) || !isDigestText(imageId)) {
    return undefined
  }
  if (!isToken(os) || !isToken(architecture)) return undefined
  if (variant !== undefined && !isToken(variant)) return undefined
  if (assumed !== undefined && typeof assumed !== 'boolean') return undefined
  const isAssumed = assumed ?? digest === manifestDigest
  const of = {
    os,
    architecture,
    ...(variant === undefined ? {} : { variant }),
    ...(isAssumed && { assumed: true as const }),
  }
  const identity = { digest, mediaType, size, manifestDigest, imageId, platform: of }
  return { asked, identity }
}

function asResolution(value: unknown, known: KnownIdentity): Resolution | undefined {
  const { reference, registry, references, resolvedAt, expiresAt } = fieldsOf(value)
  if (!isToken(reference) || !isToken(registry)) return undefined
  if (!Array.isArray(references) || references.length > MAX_REFERENCES) return undefined
  if (!isCount(resolvedAt) || !(expiresAt === undefined || isCount(expiresAt))) return undefined
  const { digest } = known.identity
  if (!fits(reference, digest, expiresAt === undefined)) return undefined
  const ranked = references
    .map((each) => asRanked(each, digest))
    .filter((each) => each !== undefined)
  if (ranked.length !== references.length) return undefined
  return {
    ...known.identity,
    reference,
    references: ranked,
    registry,
    source: 'registry',
    resolvedAt,
    expiresAt,
    attempts: [],
  }
}

/** A digest names one image, and a tag none for ever. */
function fits(reference: string, digest: string, isForEver: boolean): boolean {
  try {
    const parsed = parseNormalized(reference)
    if (formatReference(parsed) !== reference) return false
    return parsed.digest === undefined ? !isForEver : parsed.digest === digest
  } catch {
    return false
  }
}

function asRanked(value: unknown, digest: string): RankedReference | undefined {
  const { reference, kind, registry, priority, verified } = fieldsOf(value)
  if (!isToken(reference) || !isToken(registry) || !isCount(priority)) return undefined
  if ((kind !== 'digest' && kind !== 'tag') || typeof verified !== 'boolean') return undefined
  if (reference.endsWith(`@${digest}`) !== (kind === 'digest')) return undefined
  return { reference, kind, registry, priority, verified }
}

function parseFields(line: string): Fields {
  try {
    return fieldsOf(JSON.parse(line))
  } catch {
    return {}
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

/** Visible ASCII without spaces, as everything is that a reference or a host may be. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT && TOKEN.test(value)
}

function isDigestText(value: unknown): value is string {
  return typeof value === 'string' && isDigest(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
