import type { FastifyInstance } from 'fastify'
import { ResolveQuery } from '../../../api/v1/resolve.ts'
import type { Answer } from '../../resolver/answer.ts'
import { answerText } from '../answer-text.ts'
import { startDeadline } from '../deadline.ts'
import type { Answers } from '../types.ts'

/** A digest names its image for ever, but the ranking around it follows the configuration. */
const DIGEST_MAX_AGE_SECONDS = 3600

export interface ResolveRouteOptions {
  readonly answers: Answers
  readonly timeoutMs: number
  readonly now: () => number
}

export function resolveRoute(app: FastifyInstance, options: ResolveRouteOptions): void {
  const { answers, timeoutMs, now } = options
  app.get<{ Querystring: ResolveQuery }>('/resolve', { schema }, async (request, reply) => {
    const { ref, platform, refresh = false, explain = false, node = false } = request.query
    const deadline = startDeadline(request.raw, timeoutMs)
    try {
      const asked = { refresh, node, signal: deadline.signal }
      const answer = await answers.answer(
        ref,
        platform === undefined ? asked : { ...asked, platform },
      )
      reply.header('cache-control', cacheControl(answer, refresh || node, now()))
      if (answer.digest !== undefined) reply.header('docker-content-digest', answer.digest)
      reply.header('content-type', 'application/json; charset=utf-8')
      return answerText(answer, explain)
    } finally {
      deadline.clear()
    }
  })
}

const schema = {
  operationId: 'resolve',
  summary: 'Which image is this reference, exactly, and where can it be pulled from?',
  description:
    'Asks the configured registries in order of priority, then the registry that the reference names. Answers from its cache while a tag is fresh.',
  querystring: ResolveQuery,
  response: {
    200: {
      $ref: 'ResolveResponse#',
      description: 'The image.',
      headers: {
        'Docker-Content-Digest': {
          type: 'string',
          description: 'The same as `digest`; absent when that is null.',
        },
        'Cache-Control': {
          type: 'string',
          description: '`max-age` until `expiresAt`; `no-store` with `refresh` or `node`.',
        },
      },
    },
    400: failed('The reference, the platform or a parameter is wrong.'),
    401: failed('Every registry that may have it asks for (other) credentials.'),
    403: failed('Every registry that may have it refuses.'),
    404: failed('No registry has it, or not for this platform.'),
    422: failed('It is there, but is no image that can run.'),
    429: {
      ...failed('The registries ask to wait.'),
      headers: {
        'Retry-After': { type: 'integer', description: 'Seconds to wait before asking again.' },
      },
    },
    500: failed('A fault of the service itself.'),
    502: failed('The registries cannot be reached, or answer nonsense.'),
    504: failed('Out of time.'),
  },
}

function failed(description: string) {
  return { $ref: 'ErrorResponse#', description }
}

/**
 * A client may keep an answer as long as the service itself does. Not what was asked to be asked
 * anew, not the state of the node, and nothing that was the best of a bad situation.
 */
function cacheControl(answer: Answer, volatile: boolean, now: number): string {
  if (volatile || answer.source === 'stale' || answer.source === 'node') return 'no-store'
  if (answer.expiresAt === undefined) return `max-age=${DIGEST_MAX_AGE_SECONDS}`
  return `max-age=${Math.max(0, Math.floor((answer.expiresAt - now) / 1000))}`
}
