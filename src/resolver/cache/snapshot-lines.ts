import { fieldsOf, parseJson } from '../../json.ts'
import { isDigest } from '../../reference/digest.ts'
import { formatReference, parseNormalized } from '../../reference/reference.ts'
import type { ImageIdentity, ImagePlatform } from '../../registry/image.ts'
import type { CacheContent, KnownIdentity, RankedReference, Resolution } from '../types.ts'

/** What decides whether an answer of one run may be given in another. */
export interface SnapshotScope {
  /** Names the configuration of registries: visible ASCII, and nothing secret, since it is written. */
  readonly configuration: string
  /** The cache's key of a question under this configuration by a caller without credentials. */
  readonly keyFor: (reference: string, platform: string) => string
}

export interface SnapshotHead {
  readonly format: string
  readonly version: number
  readonly configuration: string
}

/** The content of a snapshot, the most recently used first. */
export interface SnapshotContent extends CacheContent {
  readonly where: readonly (readonly [key: string, resolution: Resolution])[]
  readonly what: readonly KnownIdentity[]
}

export const FORMAT = 'image-resolver cache'
export const VERSION = 1
const MAX_TEXT = 8_192
/** Two for each registry that a configuration may name, and two for the origin. */
const MAX_REFERENCES = 1_024
const TOKEN = /^[!-~]+$/

/** The members of an entry, each with what it has to be. */
type Shape<T> = { readonly [K in keyof T]-?: (value: unknown) => boolean }

const PLATFORM: Shape<Omit<ImagePlatform, 'assumed'> & { assumed?: boolean }> = {
  os: isToken,
  architecture: isToken,
  variant: optional(isToken),
  assumed: optional((value) => typeof value === 'boolean'),
}
const WHAT: Shape<ImageIdentity & { asked: string }> = {
  asked: isToken,
  digest: isDigestText,
  mediaType: isToken,
  size: isCount,
  manifestDigest: isDigestText,
  imageId: isDigestText,
  platform: (value) => pick(PLATFORM, value) !== undefined,
}
export type Where = Pick<
  Resolution,
  'reference' | 'registry' | 'resolvedAt' | 'expiresAt' | 'references'
>
const WHERE: Shape<Where> = {
  reference: isToken,
  registry: isToken,
  resolvedAt: isCount,
  expiresAt: optional(isCount),
  references: (value) => Array.isArray(value) && value.length <= MAX_REFERENCES,
}
const RANKED: Shape<RankedReference> = {
  reference: isToken,
  kind: (value) => value === 'digest' || value === 'tag',
  registry: isToken,
  priority: isCount,
  verified: (value) => typeof value === 'boolean',
}

export function headLine({ configuration }: SnapshotScope): string {
  const head: SnapshotHead = { format: FORMAT, version: VERSION, configuration }
  return JSON.stringify(head)
}

/** @returns undefined for anything that is not a head, of whatever version */
export function parseHead(line: string): SnapshotHead | undefined {
  const { format, version, configuration } = fieldsOf(parseJson(line))
  if (typeof format !== 'string' || typeof version !== 'number') return undefined
  return { format, version, configuration: isToken(configuration) ? configuration : '' }
}

/**
 * One line for each answer that any caller may be given, and for each digest that none of them is about.
 * undefined for what is left out: answers that needed a caller's credentials, which have another key, and
 * entries that could not be read again.
 */
export function* contentLines(
  content: CacheContent,
  scope: SnapshotScope,
): Generator<string | undefined> {
  const included = new Set<string>()
  for (const [key, resolution] of content.where) {
    const [, , asked = ''] = key.split(' ')
    const isForAll = scope.keyFor(resolution.reference, asked) === key
    const line = isForAll ? lineOf('where', asked, resolution) : undefined
    if (line !== undefined) included.add(`${resolution.digest} ${asked}`)
    yield line
  }
  for (const { asked, identity } of content.what) {
    const isIncluded = included.has(`${identity.digest} ${asked}`)
    yield isIncluded ? undefined : lineOf('what', asked, identity)
  }
}

function lineOf(kind: 'where' | 'what', asked: string, value: ImageIdentity): string | undefined {
  // Says of each platform whether it is assumed: former versions did not know.
  const platform = { ...value.platform, assumed: value.platform.assumed === true }
  const entry = { ...value, asked, platform }
  const what = pick(WHAT, entry)
  if (what === undefined) return undefined
  const where = kind === 'where' ? whereOf(entry, value.digest) : {}
  return where && JSON.stringify({ [kind]: { ...what, ...where, platform } })
}

/** An answer as a line that `readLine` reads; undefined for one that could not be read again. */
export function answerLine(asked: string, resolution: Resolution): string | undefined {
  return lineOf('where', asked, resolution)
}

/** Which image a digest is for a platform, as answerLine. */
export function identityLine({ asked, identity }: KnownIdentity): string | undefined {
  return lineOf('what', asked, identity)
}

/** @returns what such a line says; undefined: it is none. Nothing of it is unchecked */
export function readLine(
  line: string,
): { readonly known: KnownIdentity; readonly where?: Where } | undefined {
  const { where, what } = fieldsOf(parseJson(line))
  const known = whatOf(where ?? what)
  if (known === undefined || where === undefined) return known && { known }
  const found = whereOf(where, known.identity.digest)
  return found && { known, where: found }
}

/** Collects the entries of lines. Nothing of them is used unchecked. */
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
    const { known, where } = readLine(line) ?? {}
    if (known === undefined) return false
    const { asked, identity } = known
    if (where !== undefined && this.#sameConfiguration) {
      const { expiresAt, ...rest } = where
      const resolution = {
        ...identity,
        ...rest,
        expiresAt,
        source: 'cache',
        attempts: [],
      } as const
      this.#where.push([this.#scope.keyFor(where.reference, asked), resolution])
    }
    this.#what.push(known)
    return true
  }
}

function whatOf(value: unknown): KnownIdentity | undefined {
  const picked = pick(WHAT, value)
  if (picked === undefined) return undefined
  const { asked, ...identity } = picked
  const { assumed, ...platform } = pick(PLATFORM, identity.platform) ?? identity.platform
  const isAssumed = assumed ?? identity.digest === identity.manifestDigest
  const of: ImagePlatform = { ...platform, ...(isAssumed && { assumed: true }) }
  return { asked, identity: { ...identity, platform: of } }
}

/** Where the image of that digest is, as an entry says. */
function whereOf(value: unknown, digest: string): Where | undefined {
  const where = pick(WHERE, value)
  if (where === undefined || !fits(where, digest)) return undefined
  const references = where.references.map((each) => pick(RANKED, each))
  const isOfDigest = ({ kind, reference }: RankedReference): boolean =>
    reference.endsWith(`@${digest}`) === (kind === 'digest')
  const checked = references.filter((each) => each !== undefined && isOfDigest(each))
  if (checked.length < references.length) return undefined
  return { ...where, references: checked as RankedReference[] }
}

/** A digest names one image, and a tag none for ever. */
function fits({ expiresAt, reference }: Where, digest: string): boolean {
  try {
    const parsed = parseNormalized(reference)
    if (formatReference(parsed) !== reference) return false
    return parsed.digest === undefined ? expiresAt !== undefined : parsed.digest === digest
  } catch {
    return false
  }
}

/** The members of a shape, and no others; undefined: one of them is not what it has to be. */
function pick<T>(shape: Shape<T>, value: unknown): T | undefined {
  const fields = fieldsOf(value)
  const members = Object.entries<(value: unknown) => boolean>(shape)
  if (!members.every(([name, isValid]) => isValid(fields[name]))) return undefined
  const given = members.filter(([name]) => fields[name] !== undefined)
  return Object.fromEntries(given.map(([name]) => [name, fields[name]])) as T
}

function optional(isValid: (value: unknown) => boolean): (value: unknown) => boolean {
  return (value) => value === undefined || isValid(value)
}

/** Visible ASCII without spaces, as all parts of references and hosts are. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT && TOKEN.test(value)
}

function isDigestText(value: unknown): value is string {
  return typeof value === 'string' && isDigest(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
