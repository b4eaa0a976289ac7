import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { admissionRoute } from './routes/admission.ts'
import { eventsRoute } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { checkRoute, imagesRoutes } from './routes/images.ts'
import { pullRoute } from './routes/pull.ts'
import { registriesRoutes } from './routes/registries.ts'
import { resolveRoute } from './routes/resolve.ts'
import { resolveManyRoute } from './routes/resolve-many.ts'
import { documentRoute, serviceRoutes } from './routes/service.ts'
import type { RouteContext, RoutesOptions } from './types.ts'

/** The routes of the API: every one that openapi.yaml describes. */
const ROUTES: readonly ((app: FastifyInstance, context: RouteContext) => void)[] = [
  resolveRoute,
  resolveManyRoute,
  imagesRoutes,
  pullRoute,
  registriesRoutes,
  serviceRoutes,
  eventsRoute,
  admissionRoute,
  checkRoute,
  healthRoutes,
]

/** The OpenAPI document is made at the first request for it, which most services never get. */
async function loadDocument(): Promise<string> {
  const [{ load }, text] = await Promise.all([
    import('js-yaml'),
    readFile(new URL('../../openapi/openapi.yaml', import.meta.url), 'utf8'),
  ])
  return JSON.stringify(load(text))
}

/** @param server what the server has beside the options */
export function addRoutes(
  app: FastifyInstance,
  options: RoutesOptions,
  server: Omit<RouteContext, keyof RoutesOptions>,
): void {
  const { manyTimeoutMs = 300_000, timeoutMs = 30_000, via = 'without a name' } = options
  const context = { ...options, ...server, manyTimeoutMs, timeoutMs, via }
  for (const add of ROUTES) add(app, context)
  documentRoute(app, loadDocument)
}
