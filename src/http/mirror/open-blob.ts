import { Readable } from 'node:stream'
import type { Clock } from '../../concurrency/clock.ts'
import type { Reference } from '../../reference/reference.ts'
import type { Content, ContentRequest } from '../../registry/content.ts'
import type { ImageRequest } from '../../registry/image.ts'
import { isDoubtful } from '../../registry/manifest-fetcher.ts'
import type { Candidate } from '../../resolver/types.ts'
import { refusal } from './refusal.ts'
import type { Search } from './search.ts'
import type { MirrorSource } from './types.ts'

export interface BlobOpening {
  readonly what: string
  readonly reference: Reference
  readonly content: Omit<ContentRequest, 'kind'>
  readonly candidates: readonly Candidate[]
  readonly signal: AbortSignal
}

/**
 * Opens a blob at the first place that has it. Its body is the caller's to read or to destroy; those
 * of places that were asked beside it are destroyed here.
 */
export async function openBlob(
  search: Search,
  source: MirrorSource,
  clock: Clock,
  { what, reference, content, candidates, signal }: BlobOpening,
): Promise<{ readonly candidate: Candidate; readonly value: Content }> {
  const others = new Set<Content>()
  const asked = { ...content, kind: 'blobs' } as const
  try {
    const found = await search.first(what, candidates, signal, async (request) => {
      const blob = { ...request, reference: reference.digest ?? '' }
      const answer = await openAsked(source, blob, asked)
      if (!isBlob(answer, content.range)) throw await refusal(request, answer, clock.now())
      others.add(answer)
      return answer
    })
    others.delete(found.value)
    return found
  } finally {
    for (const { body } of others) body.destroy()
  }
}

/**
 * A HEAD that is refused is asked again by GET before it counts, of which nothing but the head is read: some
 * registries refuse HEAD for blobs that they give.
 */
async function openAsked(
  source: MirrorSource,
  request: ImageRequest,
  content: ContentRequest,
): Promise<Content> {
  const answer = await openBeyond(source, request, content)
  if (content.method === 'GET' || !isDoubtful(answer.status)) return answer
  // Nothing is in it; destroyed, it would take the connection with it.
  answer.body.resume()
  const got = await openBeyond(source, request, { ...content, method: 'GET' })
  if (got.status !== 200) return got
  got.body.destroy()
  return { ...got, body: Readable.from([]) }
}

/** The signal of a search ends with it; the body that was found has to live on. */
async function openBeyond(
  source: MirrorSource,
  request: ImageRequest,
  content: ContentRequest,
): Promise<Content> {
  const line = new AbortController()
  const leave = (): void => line.abort(request.signal.reason)
  if (request.signal.aborted) leave()
  request.signal.addEventListener('abort', leave, { once: true })
  try {
    const answer = await source.open({ ...request, signal: line.signal }, content)
    // An error that comes before anybody reads is told again to who then does.
    answer.body.on('error', () => {})
    if (request.signal.aborted) answer.body.destroy()
    return answer
  } finally {
    request.signal.removeEventListener('abort', leave)
  }
}

function isBlob({ status }: Content, range: string | undefined): boolean {
  return status === 200 || (range !== undefined && (status === 206 || status === 416))
}
