import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ResolveQuery } from '../../../api/v1/resolve.ts'
import { answerText } from '../answer-text.ts'
import { cacheControl, cacheStatus } from '../caching.ts'
import { startDeadline } from '../deadline.ts'
import type { Access } from '../guard.ts'
import { answer as answered, COMMON_PROBLEMS, problem, withRetryAfter } from '../responses.ts'
import type { Answers } from '../types.ts'

export interface ResolveRouteOptions {
  readonly answers: Answers
  readonly timeoutMs: number
  readonly now: () => number
  readonly isStranger: (request: FastifyRequest) => boolean
}

/** `GET /resolve`. What the cache has at once is answered before: see QuickAnswers. */
export function resolveRoute(app: FastifyInstance, options: ResolveRouteOptions): void {
  const { answers, isStranger, timeoutMs, now } = options
  const config = { access: accessFor }
  app.get<{ Querystring: ResolveQuery }>('/resolve', { schema, config }, async (request, reply) => {
    const { ref, platform } = request.query
    const { all = false, explain = false, node = false, refresh = false } = request.query
    const deadline = startDeadline(request.raw, timeoutMs)
    try {
      const stranger = isStranger(request)
      const asked = { refresh, node, stranger, ...(all && { all }), signal: deadline.signal }
      const answer = await answers.answer(
        ref,
        platform === undefined ? asked : { ...asked, platform },
      )
      reply.header('cache-control', cacheControl(answer, all || refresh || node, now()))
      reply.header('cache-status', cacheStatus(answer, all || refresh, now()))
      if (answer.digest !== undefined) reply.header('docker-content-digest', answer.digest)
      reply.header('content-type', 'application/json; charset=utf-8')
      return answerText(answer, explain, all)
    } finally {
      deadline.clear()
    }
  })
}

/** Whether the runtime has an image is told to who may see its images. */
function accessFor({ node }: Readonly<Record<string, unknown>>): Access {
  return node === 'true' ? 'node' : 'read'
}

const schema = {
  operationId: 'resolve',
  summary: 'Which image is this reference, exactly, and where can it be pulled from?',
  description:
    'Asks the configured registries in order of priority, then the registry that the reference names. Answers from its cache while a tag is fresh.',
  querystring: ResolveQuery,
  response: {
    200: {
      ...answered('ResolveResponse', 'The image.'),
      headers: {
        'Docker-Content-Digest': {
          type: 'string',
          description: 'The same as `digest`; absent when that is null.',
        },
        'Cache-Control': {
          type: 'string',
          description: '`max-age` until `expiresAt`; `no-store` with `refresh`, `all` or `node`.',
        },
        'Cache-Status': {
          type: 'string',
          description: 'Where the answer comes from (RFC 9211).',
        },
        ETag: { type: 'string', description: 'For `If-None-Match`; absent with `no-store`.' },
      },
    },
    304: { type: 'null', description: 'The client has this very answer (`If-None-Match`).' },
    ...COMMON_PROBLEMS,
    401: problem(
      'Every registry that may have it asks for (other) credentials; with `WWW-Authenticate`: this service asks for its token.',
    ),
    403: problem('Every registry that may have it refuses.'),
    404: problem('No registry has it, or not for this platform.'),
    422: problem('It is there, but is no image that can run.'),
    429: withRetryAfter(problem('The registries, or this service, ask to wait.')),
    502: problem('The registries cannot be reached, or answer nonsense.'),
    504: problem('Out of time.'),
  },
}
