import type { FastifyInstance } from 'fastify'
import { CacheQuery } from '../../../api/v1/cache.ts'
import type { VersionResponse } from '../../../api/v1/stats.ts'
import { COMMIT, VERSION } from '../../../api/version.ts'
import { answer, COMMON_PROBLEMS, content, NOT_MODIFIED, problem } from '../responses.ts'
import type { ServiceReports } from '../service-info.ts'
import type { RouteContext } from '../types.ts'

const KEPT = { cache: 'no-cache' } as const
const LIVE = { cache: 'no-store' } as const

const running: VersionResponse = {
  version: VERSION,
  commit: COMMIT === '' ? null : COMMIT,
  node: process.versions.node,
}

/** What the service says of itself: `GET /version`, `GET /config`, `GET /stats`, its history, `GET /cache`, `GET /metrics`. */
export function serviceRoutes(app: FastifyInstance, { service }: RouteContext): void {
  if (service === undefined) return
  app.get('/version', { schema: version, config: KEPT }, async () => running)
  app.get('/config', { schema: config, config: KEPT }, async (_request, reply) => {
    reply.type('application/yaml; charset=utf-8')
    return service.config()
  })
  app.get('/stats', { schema: stats, config: LIVE }, async () => service.stats())
  app.get('/stats/history', { schema: history, config: LIVE }, async () => service.history())
  app.get<{ Querystring: CacheQuery }>(
    '/cache',
    { schema: cache, config: { access: 'node', cache: 'no-store' } },
    async ({ query: { n = CacheQuery.properties.n.default } }) => service.cached(n),
  )
  let page: ReturnType<ServiceReports['metrics']> | undefined
  // Writing it takes some 4 ms, and hundreds may ask in one turn of the event loop.
  const document = () => {
    if (page === undefined) {
      page = service.metrics()
      setImmediate(() => {
        page = undefined
      })
    }
    return page
  }
  app.get('/metrics', { schema: metrics, config: LIVE }, async (_request, reply) => {
    const { contentType, text } = await document()
    reply.type(contentType)
    return text
  })
}

/** `GET /openapi.json`. */
export function documentRoute(app: FastifyInstance, document: () => Promise<string>): void {
  let loading: Promise<string> | undefined
  app.get('/openapi.json', { schema: openapi, config: KEPT }, async (_request, reply) => {
    loading ??= document()
    reply.type('application/json; charset=utf-8')
    return await loading
  })
}

const version = {
  operationId: 'version',
  summary: 'Which program this is.',
  response: {
    200: answer('VersionResponse', 'Version and commit.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
  },
}

const config = {
  operationId: 'config',
  summary: 'The configuration that holds, with every secret hidden.',
  response: {
    200: content('application/yaml', { type: 'string' }, 'As a configuration file.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
  },
}

const stats = {
  operationId: 'stats',
  summary: 'Numbers since the start.',
  response: { 200: answer('StatsResponse', 'The numbers.'), ...COMMON_PROBLEMS },
}

const history = {
  operationId: 'statsHistory',
  summary: 'The last day, minute by minute.',
  description: 'What the page draws. It is kept in memory, and begins anew with the service.',
  response: { 200: answer('StatsHistoryResponse', 'The minutes.'), ...COMMON_PROBLEMS },
}

const cache = {
  operationId: 'cache',
  summary: 'What was resolved lately, as far as it is kept.',
  description: 'For the token alone, but on a unix socket: it shows what this node runs.',
  querystring: CacheQuery,
  response: {
    200: answer('CacheResponse', 'The answers.'),
    ...COMMON_PROBLEMS,
    403: problem('No token is configured, without which only a unix socket tells this.'),
  },
}

const metrics = {
  operationId: 'metrics',
  summary: 'The same and more for Prometheus.',
  response: {
    200: content('text/plain', { type: 'string' }, "Prometheus' text format."),
    ...COMMON_PROBLEMS,
  },
}

const openapi = {
  operationId: 'openapi',
  summary: 'This document.',
  response: {
    200: content('application/json', { type: 'object' }, 'OpenAPI 3.1.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
  },
}
