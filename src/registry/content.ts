import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { ResolveError, toResolveError } from '../errors.ts'
import { pullScope } from './auth/scope.ts'
import type { Question } from './failure.ts'
import type { ImageRequest } from './image.ts'
import { MANIFEST_TYPES, OCI_INDEX } from './media-types.ts'
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

/** Whatever the registry answered, 404 and 429 included. */
export interface Content {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** To be read or destroyed: its connection is taken until then. Fails when the caller's signal ends. */
  readonly body: Readable
}

const ACCEPT = {
  manifests: MANIFEST_TYPES.join(', '),
  blobs: '*/*',
  referrers: OCI_INDEX,
} as const

/**
 * Opens a manifest, a blob, or the list of what refers to a manifest (`reference`: tag or digest). Redirects are followed, without
 * credentials where they leave the registry. Nothing is buffered, and nothing verified: that is for
 * whom the bytes go to.
 *
 * @param headTimeoutMs limit until the answer's head; after that only silence and the caller end it
 * @throws ResolveError when no answer came
 */
export function openContent(
  session: RegistrySession,
  request: ImageRequest,
  content: ContentRequest,
  headTimeoutMs: number,
): Promise<Content> {
  const { endpoint, repository, reference } = request
  const question: Question = {
    host: endpoint.host,
    subject: `${repository}@${reference}`,
    step: 'manifest',
  }
  const line = openLine(request.signal, headTimeoutMs)
  const party = { ...request, signal: line.signal }
  return session
    .ask(party, question, async () => {
      const reply = await session.reply({
        party,
        method: content.method,
        path: `${repository}/${content.kind}/${reference}${queryOf(content, request)}`,
        headers: headersOf(content),
        scope: pullScope(repository),
      })
      line.established()
      reply.body.once('close', () => {
        reply.ended()
        line.hangUp()
      })
      return { status: reply.status, headers: reply.headers, body: reply.body }
    })
    .catch((error: unknown) => {
      line.hangUp()
      throw error
    })
}

function queryOf({ query = '' }: ContentRequest, { namespace }: ImageRequest): string {
  const ns = namespace === undefined ? '' : `ns=${encodeURIComponent(namespace)}`
  const parts = [query, ns].filter((part) => part !== '')
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

function headersOf({ kind, accept = ACCEPT[kind], range }: ContentRequest) {
  return { accept, ...(range === undefined ? {} : { range }) }
}

/** Like `withTimeout`, but the caller's signal goes on to hold while the body is read. */
function openLine(caller: AbortSignal, ms: number) {
  const controller = new AbortController()
  const leave = () => {
    const { code } = toResolveError(caller.reason)
    const late = code === 'DEADLINE_EXCEEDED'
    controller.abort(
      new ResolveError(late ? code : 'CANCELED', late ? 'out of time' : 'the caller went away', {
        cause: caller.reason,
      }),
    )
  }
  const timer = setTimeout(() => {
    controller.abort(new ResolveError('DEADLINE_EXCEEDED', `no answer within ${ms} ms`))
  }, ms)
  if (caller.aborted) leave()
  else caller.addEventListener('abort', leave, { once: true })
  const established = () => clearTimeout(timer)
  return {
    signal: controller.signal,
    established,
    hangUp: () => {
      established()
      caller.removeEventListener('abort', leave)
    },
  }
}
