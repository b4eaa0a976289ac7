import type { FastifyInstance } from 'fastify'
import { answer, COMMON_PROBLEMS, NOT_MODIFIED, problem } from '../responses.ts'
import type { Check } from '../types.ts'

/** `GET /check`: what the service knows of the images in use. No registry is asked for it. */
export function checkRoute(app: FastifyInstance, check: Check): void {
  app.get('/check', { schema, config: { access: 'node' } }, async (_request, reply) => {
    reply.header('cache-control', 'no-cache')
    return check.report()
  })
}

const schema = {
  operationId: 'check',
  summary: 'Where the images that pods of this node use can be pulled from.',
  description:
    'The result of the last check, which `check.interval` of the configuration asks for. For the token alone, but on a unix socket.',
  response: {
    200: answer('CheckResponse', 'The last check.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
    403: problem('No token is configured, without which only a unix socket tells this.'),
  },
}
