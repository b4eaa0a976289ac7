import { departure, onAbort } from '../concurrency/abortable.ts'
import { ResolveError } from '../errors.ts'
import type { ImageRequest } from './image.ts'
import { MANIFEST_TYPES, OCI_INDEX } from './manifest.ts'
import { requestIn } from './manifest-fetcher.ts'
import { type FailureContext, networkFailure, statusFailure } from './registry-failure.ts'
import { type Content, readBody } from './response.ts'
import type { RegistrySession } from './session.ts'

export interface ContentRequest {
  readonly method: 'GET' | 'HEAD'
  readonly kind: 'manifests' | 'blobs' | 'referrers'
  /** Default: what manifests are, for manifests. */
  readonly accept?: string
  /** `bytes=0-99`; for blobs. */
  readonly range?: string
  /** Without its question mark; for referrers. */
  readonly query?: string
}

const ACCEPT = {
  manifests: MANIFEST_TYPES.join(', '),
  blobs: '*/*',
  referrers: OCI_INDEX,
} as const

/**
 * Opens a manifest, a blob, or the list of what refers to a manifest (`reference`: tag or digest). Redirects
 * are followed, without credentials where they leave the registry. Nothing is buffered and nothing is
 * verified: the reader of the body does that.
 *
 * @param headTimeoutMs limit until the head of the response; after that only silence and the caller end it
 * @returns its body fails when the caller's signal ends
 * @throws ResolveError when there is no response
 */
export async function openContent(
  session: RegistrySession,
  request: ImageRequest,
  content: ContentRequest,
  headTimeoutMs: number,
): Promise<Content> {
  const { accept = ACCEPT[content.kind], kind, method, query, range } = content
  const limit = limitHead(request.signal, headTimeoutMs)
  const asked = requestIn(method, kind, { ...request, signal: limit.signal }, accept, query)
  const headers = { ...asked.headers, ...(range !== undefined && { range }) }
  try {
    return await session.request(
      { ...asked, headers, accepts: () => true, large: kind === 'blobs' },
      async (response) => {
        limit.reached()
        response.body.once('close', () => {
          response.ended()
          limit.end()
        })
        return { status: response.status, headers: response.headers, body: response.body }
      },
    )
  } catch (error) {
    limit.end()
    throw error
  }
}

/** As `withTimeout` until the head is there; the caller's signal holds for the body as well. */
function limitHead(caller: AbortSignal, ms: number) {
  const controller = new AbortController()
  const leave = () => controller.abort(departure(caller.reason))
  const timer = setTimeout(() => {
    controller.abort(new ResolveError('DEADLINE_EXCEEDED', `no answer within ${ms} ms`))
  }, ms)
  if (caller.aborted) leave()
  const stop = onAbort(caller, leave)
  const reached = () => clearTimeout(timer)
  return {
    signal: controller.signal,
    reached,
    end: () => {
      reached()
      stop()
    },
  }
}

type Asked = Pick<ImageRequest, 'endpoint' | 'repository' | 'signal'>

/** As large a manifest as the specification asks registries to take. */
const MAX_READ_BYTES = 4 * 1024 * 1024

/**
 * The whole body of an answer.
 *
 * @throws ResolveError MANIFEST_INVALID for more than 4 MiB; what a body that breaks off means
 */
export async function readContent(answer: Content, asked: Asked): Promise<Buffer> {
  try {
    const bytes = await readBody({ ...answer, ended: () => {} }, MAX_READ_BYTES)
    if (bytes !== undefined) return bytes
    throw new ResolveError('MANIFEST_INVALID', `${asked.repository}: more than 4 MiB`)
  } catch (thrown) {
    answer.body.destroy()
    throw networkFailure(thrown, failureOf(asked), asked.signal)
  }
}

/** The error for an answer that is no success. Reads its body, for as long as the request's signal lets it. */
export async function contentRefusal(
  asked: Asked,
  answer: Content,
  now: number,
): Promise<ResolveError> {
  const { signal } = asked
  const leave = (): void => void answer.body.destroy()
  if (signal.aborted) leave()
  const stop = onAbort(signal, leave)
  try {
    return await statusFailure({ ...answer, ended: () => {} }, failureOf(asked), now)
  } finally {
    stop()
  }
}

function failureOf({ endpoint, repository }: Asked): FailureContext {
  return { host: endpoint.host, subject: repository, step: 'manifest' }
}
