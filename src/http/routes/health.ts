import type { FastifyInstance } from 'fastify'
import type { LiveResponse, ReadyResponse } from '../../../api/v1/health.ts'
import { answer, COMMON_PROBLEMS, NO_TOKEN } from '../responses.ts'
import type { Readiness } from '../types.ts'

/** `GET /livez`: the process answers. `GET /readyz`: every configured server listens. */
export function healthRoutes(app: FastifyInstance, readiness: Readiness): void {
  app.get(
    '/livez',
    { schema: live, config: { access: 'health' } },
    async (_request, reply): Promise<LiveResponse> => {
      reply.header('cache-control', 'no-store')
      return { status: 'live' }
    },
  )
  app.get(
    '/readyz',
    { schema: ready, config: { access: 'health' } },
    async (_request, reply): Promise<ReadyResponse> => {
      const states = await readiness.check()
      const servers = states.map(({ door, open, reason }) => ({
        door,
        open,
        ...(reason !== undefined && { reason }),
      }))
      const open = servers.every((state) => state.open)
      reply.header('cache-control', 'no-store')
      reply.code(open ? 200 : 503)
      return { status: open ? 'ready' : 'not_ready', doors: servers }
    },
  )
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
