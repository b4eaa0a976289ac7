import type { Ticket } from '../concurrency/semaphore.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import type { Platform } from '../reference/platform.ts'
import type { Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Descriptor, Exchange, ImageIdentity, ImageRequest } from '../registry/image.ts'
import type { Candidate, ImageSource } from './types.ts'

export interface Question {
  readonly reference: Reference
  readonly platform: Platform
  /** The caller named it. */
  readonly isPlatformAsked: boolean
  /** Which image a digest is, where that is known; absent: nothing that is known counts. */
  readonly known?: (digest: string) => ImageIdentity | undefined
  /** Something is known, so that a HEAD probably does. */
  readonly expected: boolean
  /** Ask by digest once more where a tag was asked for. */
  readonly verifyDigest: boolean
}

/** How one candidate is asked. */
export interface Probe {
  readonly candidate: Candidate
  readonly credentials: Credentials | undefined
  readonly signal: AbortSignal
  readonly ticket: Ticket
  readonly observe: (exchange: Exchange) => void
}

/**
 * Which image the reference is at one candidate. One GET when nothing is known; one HEAD when what the
 * registry names is already known; one HEAD more with `verifyDigest`, since there are registries
 * that still know a tag whose manifest is gone (harbor#16429).
 *
 * @param promoted as in Ask; hears what the HEAD said
 * @throws ResolveError as ImageSource; MANIFEST_UNKNOWN for such a tag
 */
export async function identify(
  source: ImageSource,
  question: Question,
  probe: Probe,
  promoted?: (digest: string) => Promise<void>,
): Promise<ImageIdentity> {
  const { isPlatformAsked, known, platform, reference } = question
  const name = wanted(reference)
  const request = requestFor(probe, name)
  const expected = promoted !== undefined || question.expected || known?.(name) !== undefined
  if (!expected) {
    const image = await source.image(request, platform, isPlatformAsked)
    await confirm(source, question, probe, image)
    return image
  }
  const now = await source.digest(request)
  const image = known?.(now.digest)
  // Asked for by its digest it is confirmed thereby.
  if (image === undefined) {
    await promoted?.(now.digest)
    return source.image({ ...request, reference: now.digest }, platform, isPlatformAsked)
  }
  await confirm(source, question, probe, now)
  return image
}

/** What a registry is asked for: a tag or a digest. */
export function wanted({ digest, tag }: Reference): string {
  return digest ?? tag ?? 'latest'
}

export function requestFor(
  { candidate, credentials, signal, ticket, observe }: Probe,
  reference: string,
): ImageRequest {
  const { configured, endpoint, namespace, repository } = candidate
  return {
    endpoint,
    repository,
    reference,
    configured,
    ...(namespace !== undefined && { namespace }),
    ...(credentials !== undefined && { credentials }),
    signal,
    ticket,
    observe,
  }
}

async function confirm(
  source: ImageSource,
  { reference, verifyDigest }: Question,
  probe: Probe,
  { digest }: Descriptor,
): Promise<void> {
  if (!verifyDigest || reference.digest !== undefined) return
  try {
    await source.digest(requestFor(probe, digest))
  } catch (thrown) {
    const error = toResolveError(thrown)
    throw error.code === 'MANIFEST_UNKNOWN' ? gone(probe.candidate, digest, error) : error
  }
}

function gone({ pullName }: Candidate, digest: string, cause: ResolveError): ResolveError {
  return new ResolveError(
    'MANIFEST_UNKNOWN',
    `${pullName} still names ${digest} by that tag, but no longer has it`,
    { cause, step: 'manifest', ...(cause.status !== undefined && { status: cause.status }) },
  )
}
