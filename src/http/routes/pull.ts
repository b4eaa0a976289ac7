import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { ErrorResponse } from '../../../api/v1/error.ts'
import { type PullEvent, PullRequest } from '../../../api/v1/images.ts'
import { parseReference } from '../../reference/reference.ts'
import { untilLeft } from '../deadline.ts'
import { toFailure } from '../error-response.ts'
import { COMMON_PROBLEMS, content, problem, TOKEN_NEEDED } from '../responses.ts'
import type { ImagesOfNode, RouteContext } from '../types.ts'

/** Proxies cut off what is silent, and people wonder how far it is. */
const TELL_EVERY_MS = 1_000

const UNSAID: ErrorResponse['errors'][number] = { code: 'UNKNOWN', message: '', detail: {} }

/** `POST /images/pull`, answered with server-sent events. A client that leaves cancels the pull. */
export function pullRoute(app: FastifyInstance, context: RouteContext): void {
  const { node } = context
  if (node === undefined) return
  app.post<{ Body: PullRequest }>(
    '/images/pull',
    { schema, config: { access: 'write', cache: 'no-store' } },
    async (request, reply) => {
      const { reference } = request.body
      // What can be known before is told by the status.
      parseReference(reference)
      const signal = untilLeft(reply.raw)
      const events = Readable.from(pull(reference, await node(), signal, context))
      return reply.type('text/event-stream').send(events)
    },
  )
}

async function* pull(
  reference: string,
  images: ImagesOfNode,
  signal: AbortSignal,
  { now, onUnexpected, pulls }: RouteContext,
): AsyncGenerator<string> {
  const began = now()
  const told = (state: PullEvent['state'], more: Partial<PullEvent> = {}): string =>
    eventText({ state, reference, seconds: Math.max(0, now() - began) / 1000, ...more })
  const ended: Promise<() => string> = images.pull(reference, signal).then(
    (imageId) => () => told('pulled', { imageId }),
    (thrown: unknown) => () => {
      const failure = toFailure(thrown)
      if (failure.unexpected !== undefined) onUnexpected(failure)
      const [{ code, message, detail } = UNSAID] = failure.body.errors
      const { attempts } = detail
      return told('failed', {
        error: { code, message, ...(attempts !== undefined && { attempts }) },
      })
    },
  )
  for (;;) {
    const layers = await pulls?.layersOf(reference)
    yield told('pulling', layers === undefined ? {} : { layers })
    const timer = new AbortController()
    const pause = delay(TELL_EVERY_MS, undefined, { signal: timer.signal }).catch(() => undefined)
    const end = await Promise.race([ended, pause])
    timer.abort()
    if (end === undefined) continue
    yield end()
    return
  }
}

/** The name of the event is its state (HTML, "Server-sent events"). */
function eventText(event: PullEvent): string {
  return `event: ${event.state}\ndata: ${JSON.stringify(event)}\n\n`
}

const schema = {
  operationId: 'pullImage',
  summary: 'Pulls an image as a kubelet without credentials does.',
  description:
    'The answer is a stream of server-sent events: `pulling` at once and every second, with how far the layers are where that can be told, at last `pulled` or `failed`, each with a PullEvent as its data. Closing the connection cancels the pull.',
  security: TOKEN_NEEDED,
  body: PullRequest,
  response: {
    200: content('text/event-stream', { type: 'string' }, 'The events; see PullEvent.'),
    ...COMMON_PROBLEMS,
    403: problem(
      "No token is configured, which turns this off, or the service has no right to use the runtime's socket.",
    ),
    413: problem('The body is over 16 KiB.'),
    415: problem('The body is not `application/json`.'),
    502: problem('There is no runtime, or it does not answer.'),
    504: problem('Out of time.'),
  },
}
