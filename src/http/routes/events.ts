import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { RegistryEventResponse } from '../../../api/v1/events.ts'
import { ResolveError } from '../../errors.ts'
import { RateLimit } from '../access/rate-limit.ts'
import { readJson } from '../inputs.ts'
import { type RegistryEvent, readRegistryEvent } from '../registry-events.ts'
import { answer, COMMON_PROBLEMS, problem, TOKEN_NEEDED, withRetryAfter } from '../responses.ts'

/** GitHub's of an image with many layers and labels; distribution's and Harbor's are about 1 KiB. */
const MAX_BODY_BYTES = 256 * 1024
/** Of one client, a registry mostly: each may cost one HEAD of a tag that is asked for. */
const MAX_A_MINUTE = 3_000

export interface EventsRouteOptions {
  /** @returns how many answers were fresh until then */
  readonly onEvent: (event: RegistryEvent) => Promise<number>
  /** As Guard.isAuthentic. */
  readonly isAuthentic: (request: FastifyRequest, body: string) => boolean
  readonly now: () => number
}

/**
 * `POST /events/registry`: notifications of registries, in their own formats. A scope of its own, since bodies are read
 * as text: GitHub signs them.
 */
export function eventsRoute(app: FastifyInstance, options: EventsRouteOptions): void {
  const { isAuthentic, now, onEvent } = options
  const limit = new RateLimit(MAX_A_MINUTE, now)
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    const types = /^application\/(?:[\w.+-]+\+)?json(?:;|$)/
    scope.addContentTypeParser(types, { parseAs: 'string' }, (_request, body, taken) =>
      taken(null, body),
    )
    scope.setValidatorCompiler(() => () => true)
    const config = { access: 'event' } as const
    const onRequest = async ({ raw }: FastifyRequest): Promise<void> => {
      const retryAfterMs = limit.take(raw.socket.remoteAddress)
      if (retryAfterMs === 0) return
      const message = `more than ${MAX_A_MINUTE} notifications a minute: send those of pushes and deletions alone`
      throw new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs })
    }
    scope.post<{ Body: string }>(
      '/events/registry',
      { schema, config, onRequest, bodyLimit: MAX_BODY_BYTES },
      async (request, reply): Promise<RegistryEventResponse> => {
        if (!isAuthentic(request, request.body)) {
          const why = 'the signature in x-hub-signature-256 was not made with http.token'
          throw new ResolveError('UNAUTHORIZED', why)
        }
        const event = readRegistryEvent(readJson(request.body), request.headers)
        reply.header('cache-control', 'no-store')
        return { tags: event.changes.length, expired: await onEvent(event) }
      },
    )
    done()
  })
}

const schema = {
  operationId: 'registryEvent',
  summary: 'A registry says that tags changed: what is known of them expires.',
  description:
    'Takes the notifications of distribution, Harbor, Quay, GitHub packages and Zot as these send them, CloudEvents in both modes of HTTP included. Nothing but names of tags is read: no digest is taken from a notification, and no address in it is connected to. Served with `http.events` alone. Beside the bearer token, HTTP Basic with the token as password is accepted, and the signature that GitHub makes with the token as secret.',
  security: TOKEN_NEEDED,
  body: { type: 'object', description: 'The notification.', additionalProperties: true },
  response: {
    200: answer('RegistryEventResponse', 'It was read.'),
    ...COMMON_PROBLEMS,
    403: problem('No token is configured, which turns this off.'),
    413: problem('The body is over 256 KiB.'),
    415: problem('The body is no JSON.'),
    429: withRetryAfter(problem('Too many requests, or over 3,000 notifications a minute.')),
    502: withRetryAfter(problem('The store of the fleet could not be told yet: send it again.')),
  },
}
