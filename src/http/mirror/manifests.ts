import { ResolveError, toResolveError } from '../../errors.ts'
import { hashOf, isDigest, parseDigest } from '../../reference/digest.ts'
import { formatReference, type Reference } from '../../reference/reference.ts'
import { contentRefusal, readContent } from '../../registry/content.ts'
import type { ImageRequest } from '../../registry/image.ts'
import { bareType, GENERIC_TYPES, MANIFEST_TYPES } from '../../registry/manifest.ts'
import type { RawManifest } from '../../registry/manifest-fetcher.ts'
import { resolvesTags } from '../../resolver/candidates.ts'
import type { MirrorContext } from './context.ts'

export interface ManifestRequest {
  readonly method: 'GET' | 'HEAD'
  /** With a tag or a digest. */
  readonly reference: Reference
  /** Ask the registries even though the cache knows the tag. */
  readonly refresh: boolean
  readonly signal: AbortSignal
}

export interface StoredManifest {
  readonly digest: string
  readonly mediaType: string
  /** Bytes. */
  readonly size: number
  /** Absent where a HEAD was enough. */
  readonly bytes?: Buffer
}

/** Asked for beside what images need, since there is more than images in registries. */
const ANYTHING = '*/*'
const ACCEPT = [...MANIFEST_TYPES, ANYTHING].join(', ')

/** Finds manifests: tags by the resolver and its cache, bodies at the best registry, verified. */
export class Manifests {
  readonly #context: MirrorContext

  constructor(context: MirrorContext) {
    this.#context = context
  }

  /** @throws ResolveError MANIFEST_UNKNOWN when no registry has it; as Resolver.resolve() for a tag */
  async find(request: ManifestRequest): Promise<StoredManifest> {
    const { method, reference } = request
    if (reference.digest !== undefined) return this.#fetch(request)
    const resolution = await this.#resolve(request)
    if (resolution === undefined) return this.#fetch(request)
    if (method === 'HEAD') return resolution
    return this.#fetch({ ...request, reference: { ...reference, digest: resolution.digest } })
  }

  /** @returns undefined: it is there, and not for the resolver to say what it is */
  async #resolve({ reference, refresh, signal }: ManifestRequest) {
    try {
      const { resolver } = this.#context
      const { digest, mediaType, size } = await resolver.resolve(reference, { refresh, signal })
      return { digest, mediaType, size }
    } catch (thrown) {
      if (isForOthers(toResolveError(thrown))) return undefined
      throw thrown
    }
  }

  async #fetch({ method, reference, signal }: ManifestRequest): Promise<StoredManifest> {
    const { candidates, sizes } = this.#context
    const byDigest = reference.digest !== undefined
    const name = reference.digest ?? reference.tag ?? ''
    const { candidate, value } = await candidates.first({
      what: formatReference(reference),
      candidates: candidates.of(reference, (each) => byDigest || resolvesTags(each)),
      signal,
      ask: async (request) => {
        const asked = { ...request, reference: name }
        const head = method === 'HEAD' ? await this.#head(asked) : undefined
        return head ?? (await this.#get(asked))
      },
    })
    candidates.servedManifest(candidate, reference)
    if (value.bytes !== undefined) sizes.learn(reference, value.bytes)
    return value
  }

  /** @returns undefined where the answer leaves something out that ours has to have */
  async #head(request: ImageRequest): Promise<StoredManifest | undefined> {
    const head = await this.#context.source.head({ ...request, accept: ANYTHING })
    if ('bytes' in head) return stored(request, head)
    const mediaType = bareType(head.contentType)
    const digest = isDigest(request.reference) ? request.reference : head.digest
    if (digest === undefined || head.size === undefined) return undefined
    return GENERIC_TYPES.has(mediaType) ? undefined : { digest, mediaType, size: head.size }
  }

  async #get(request: ImageRequest): Promise<StoredManifest> {
    const { clock, source } = this.#context
    const asked = { method: 'GET', kind: 'manifests', accept: ACCEPT } as const
    const answer = await source.open(request, asked)
    answer.body.on('error', () => {})
    if (answer.status !== 200) throw await contentRefusal(request, answer, clock.now())
    const bytes = await readContent(answer, request)
    const contentType = answer.headers['content-type'] ?? ''
    return stored(request, { bytes, contentType })
  }
}

/** @throws ResolveError DIGEST_INVALID for other bytes than were asked for */
function stored(
  { endpoint, reference }: ImageRequest,
  { bytes, contentType }: RawManifest,
): StoredManifest {
  const algorithm = isDigest(reference) ? parseDigest(reference).algorithm : 'sha256'
  const digest = hashOf(algorithm, bytes)
  if (isDigest(reference) && digest !== reference) {
    const message = `${endpoint.host}: answered with something else than ${reference}`
    throw new ResolveError('DIGEST_INVALID', message, { step: 'manifest', status: 200 })
  }
  return { digest, mediaType: typeOf(contentType, bytes), size: bytes.length, bytes }
}

/**
 * Whether it is there, if nothing for our platform, or nothing that is an image; all the same it can be
 * pulled. The attempts say so also where another registry's failure is the graver one.
 */
function isForOthers({ code, attempts, found }: ResolveError): boolean {
  if (code === 'PLATFORM_UNKNOWN' || code === 'UNSUPPORTED' || found !== undefined) return true
  return attempts.some(({ outcome, step }) => outcome === 'unsupported' || step === 'platform')
}

/** What the registry says, or the manifest itself where that says nothing. */
function typeOf(contentType: string, bytes: Buffer): string {
  const declared = bareType(contentType)
  if (!GENERIC_TYPES.has(declared)) return declared
  try {
    const { mediaType } = JSON.parse(bytes.toString()) as { readonly mediaType?: unknown }
    return typeof mediaType === 'string' ? bareType(mediaType) : declared
  } catch {
    return declared
  }
}

/**
 * Whether a client takes a media type (RFC 9110, section 12.5.1).
 *
 * @param accept the header; absent or empty: the client takes anything
 */
export function accepts(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined || accept.trim() === '') return true
  const [family = ''] = mediaType.split('/', 1)
  const fitting = new Set(['*/*', `${family}/*`, mediaType])
  return accept.split(',').some((item) => {
    const [type = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    return fitting.has(type) && !parameters.some((each) => /^q=0(?:\.0*)?$/.test(each))
  })
}
