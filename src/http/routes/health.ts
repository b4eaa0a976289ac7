import type { FastifyInstance } from 'fastify'
import type { LiveResponse, ReadyResponse } from '../../../api/v1/health.ts'
import { answer, COMMON_PROBLEMS, NO_TOKEN } from '../responses.ts'
import type { RouteContext } from '../types.ts'

/** `GET /livez`: the process answers. `GET /readyz`: every configured server listens. */
export function healthRoutes(app: FastifyInstance, { readiness }: RouteContext): void {
  const config = { access: 'health', cache: 'no-store' } as const
  app.get(
    '/livez',
    { schema: live, config },
    async (): Promise<LiveResponse> => ({ status: 'live' }),
  )
  app.get('/readyz', { schema: ready, config }, async (_request, reply): Promise<ReadyResponse> => {
    const doors = await readiness.check()
    const open = doors.every((state) => state.open)
    reply.code(open ? 200 : 503)
    return { status: open ? 'ready' : 'not_ready', doors: [...doors] }
  })
}

/** Health routes need no token. */
const OPEN_PROBLEMS = { 400: COMMON_PROBLEMS[400], 500: COMMON_PROBLEMS[500] }

const live = {
  operationId: 'livez',
  summary: 'Does the process answer?',
  security: NO_TOKEN,
  response: { 200: answer('LiveResponse', 'It does.'), ...OPEN_PROBLEMS },
}

const ready = {
  operationId: 'readyz',
  security: NO_TOKEN,
  summary: 'Does every server listen that the configuration asks for?',
  response: {
    200: answer('ReadyResponse', 'Every server listens.'),
    503: answer('ReadyResponse', 'A server does not listen; `reason` says why.'),
    ...OPEN_PROBLEMS,
  },
}
