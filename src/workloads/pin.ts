import { ResolveError, toResolveError } from '../errors.ts'
import { formatReference, parseReference, type Reference } from '../reference/reference.ts'
import type { Pin } from './image-mention.ts'

/** What a registry, or a lock file, says of a reference. */
export interface LocatedImage {
  /** What is pinned: an index, or the manifest of one platform. */
  readonly digest: string
  /** `os/architecture[/variant]`. */
  readonly platform: string
  readonly imageId: string
  readonly registry: string
}

export interface PinOptions {
  /** Asks the registries. @throws ResolveError */
  readonly lookup: (reference: string) => Promise<LocatedImage>
  /** Takes what a reference with a tag alone is, or is pinned to; not called for what is known from `locked`. */
  readonly found?: ((reference: string, image: LocatedImage) => void) | undefined
  /** The digest that a lock file has for a tag; it is taken instead of asking, unless tags are moved on. */
  readonly locked?: ((reference: string) => string | undefined) | undefined
  /** Ask no registry at all. Default: no. */
  readonly offline?: boolean | undefined
  /** Move what is pinned on to what its tag points at now. Default: no. */
  readonly update?: boolean | undefined
}

export type PinOutcome =
  /** It is pinned, and stays so. */
  | { readonly state: 'kept'; readonly digest: string }
  /** It names no digest, or, with `from`, another one than its tag points at. */
  | { readonly state: 'changed'; readonly pin: Pin; readonly from?: string }
  /** It names no digest, and none was looked for. */
  | { readonly state: 'unpinned' }
  | { readonly state: 'failed'; readonly error: ResolveError }

/**
 * What a reference is to be pinned to. A tag that is not written is `latest`. What is pinned already is
 * only looked for: a digest that no registry has is a failure.
 *
 * @returns never rejects
 */
export function pinReference(reference: string, options: PinOptions): Promise<PinOutcome> {
  return outcomeOf(reference, async (parsed) => {
    const { digest, tag } = parsed
    if (digest !== undefined && (options.update !== true || tag === undefined)) {
      if (options.offline === true) return { state: 'kept', digest }
      const image = await options.lookup(byDigest(parsed))
      const isNew = tag !== undefined && options.locked?.(byTag(parsed)) === undefined
      if (isNew) options.found?.(byTag(parsed), { ...image, digest })
      return { state: 'kept', digest }
    }
    return compare(parsed, await currentDigest(parsed, options, options.update === true))
  })
}

/**
 * Whether a reference is pinned, and to what its tag points at now.
 *
 * @returns `changed` where the tag points at another digest; never rejects
 */
export function checkReference(reference: string, options: PinOptions): Promise<PinOutcome> {
  return outcomeOf(reference, async (parsed) => {
    const { digest, tag } = parsed
    if (digest === undefined) return { state: 'unpinned' }
    if (tag !== undefined) {
      return compare(parsed, await currentDigest(parsed, options, options.offline !== true))
    }
    if (options.offline !== true) await options.lookup(byDigest(parsed))
    return { state: 'kept', digest }
  })
}

async function outcomeOf(
  reference: string,
  decide: (parsed: Reference) => Promise<PinOutcome>,
): Promise<PinOutcome> {
  try {
    return await decide(parseReference(reference))
  } catch (thrown) {
    return { state: 'failed', error: toResolveError(thrown) }
  }
}

async function currentDigest(
  reference: Reference,
  { found, locked, lookup, offline }: PinOptions,
  isAsked: boolean,
): Promise<string> {
  const tagged = byTag(reference)
  const known = isAsked && offline !== true ? undefined : locked?.(tagged)
  if (known !== undefined) return known
  if (offline === true) {
    const message = `the lock file has no ${tagged}, and no registry is asked`
    throw new ResolveError('UNAVAILABLE', message)
  }
  const image = await lookup(tagged)
  found?.(tagged, image)
  return image.digest
}

function compare({ digest, tag }: Reference, now: string): PinOutcome {
  if (digest === now) return { state: 'kept', digest }
  const pin = { tag, digest: now }
  return { state: 'changed', pin, ...(digest !== undefined && { from: digest }) }
}

function byTag(reference: Reference): string {
  return formatReference({ ...reference, digest: undefined })
}

function byDigest(reference: Reference): string {
  return formatReference({ ...reference, tag: undefined })
}
