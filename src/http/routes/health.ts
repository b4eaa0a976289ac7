import type { FastifyInstance } from 'fastify'
import type { LiveResponse, ReadyResponse } from '../../../api/v1/health.ts'
import type { Readiness } from '../types.ts'

/** `GET /livez`: the process answers. `GET /readyz`: every door that is asked for is open. */
export function healthRoutes(app: FastifyInstance, readiness: Readiness): void {
  app.get('/livez', { schema: live }, async (_request, reply): Promise<LiveResponse> => {
    reply.header('cache-control', 'no-store')
    return { status: 'live' }
  })
  app.get('/readyz', { schema: ready }, async (_request, reply): Promise<ReadyResponse> => {
    const states = await readiness.check()
    const doors = states.map(({ door, open, reason }) => ({
      door,
      open,
      ...(reason !== undefined && { reason }),
    }))
    const open = doors.every((state) => state.open)
    reply.header('cache-control', 'no-store')
    reply.code(open ? 200 : 503)
    return { status: open ? 'ready' : 'not_ready', doors }
  })
}

const live = {
  operationId: 'livez',
  summary: 'Does the process answer?',
  response: { 200: { $ref: 'LiveResponse#', description: 'It does.' } },
}

const ready = {
  operationId: 'readyz',
  summary: 'Is every door open that the configuration asks for?',
  response: {
    200: { $ref: 'ReadyResponse#', description: 'Every door is open.' },
    503: { $ref: 'ReadyResponse#', description: 'A door is closed; `reason` says why.' },
  },
}
