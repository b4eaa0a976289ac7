import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { CheckResponse } from '../../api/v1/check.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Failure } from './error-response.ts'
import type { Limits } from './limits.ts'
import type { RegistryLists } from './registry-admin.ts'
import { type AdmissionOptions, admissionRoute } from './routes/admission.ts'
import { type EventsRouteOptions, eventsRoute } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { checkRoute, imagesRoutes } from './routes/images.ts'
import { pullRoute } from './routes/pull.ts'
import { registriesRoutes } from './routes/registries.ts'
import { resolveRoute } from './routes/resolve.ts'
import { resolveManyRoute } from './routes/resolve-many.ts'
import { documentRoute, serviceRoutes } from './routes/service.ts'
import type { ServiceReports } from './service-info.ts'
import type { Answers, NodeImages, Readiness } from './types.ts'

export interface RoutesOptions {
  readonly answers: Answers
  readonly readiness: Readiness
  /** Each absent: a server without its routes. */
  readonly images?: NodeImages
  readonly registries?: RegistryLists
  readonly service?: ServiceReports
  readonly onEvent?: EventsRouteOptions['onEvent']
  /** What is known of the images in use, and of where they can be pulled from. */
  readonly check?: () => CheckResponse
  readonly admission?: Pick<AdmissionOptions, 'budgetMs' | 'rejects'>
  /** This service in `Via`. Default: it has no name, and notices no question of its own. */
  readonly via?: string
  /** Total limit of one question. Default: 30 seconds. */
  readonly timeoutMs?: number
  /** Total limit of one `POST /resolve`. Default: 5 minutes. */
  readonly manyTimeoutMs?: number
}

export interface RoutesContext {
  readonly now: () => number
  readonly limits: Limits
  /** As Guard.isUnauthenticated. */
  readonly isUnauthenticated: (request: FastifyRequest) => boolean
  readonly isAuthentic: EventsRouteOptions['isAuthentic']
  /** Loads the OpenAPI document. */
  readonly document: () => Promise<string>
  /** Called for an internal error in one of the results of an answer with status 200. */
  readonly onUnexpected: (failure: Failure) => void
  readonly logger: Pick<Logger, 'warn'>
}

/** The routes of the API: every one that openapi.yaml describes. */
export function addRoutes(
  app: FastifyInstance,
  options: RoutesOptions,
  { now, document, isAuthentic, isUnauthenticated, limits, logger, onUnexpected }: RoutesContext,
): void {
  const { admission, answers, check, images, onEvent, readiness, registries, service } = options
  const { manyTimeoutMs = 300_000, timeoutMs = 30_000, via = 'without a name' } = options
  resolveRoute(app, { answers, timeoutMs, now, isUnauthenticated, via })
  resolveManyRoute(app, {
    answers,
    limits,
    timeoutMs: manyTimeoutMs,
    isUnauthenticated,
    onUnexpected,
  })
  if (images !== undefined) {
    imagesRoutes(app, { images, timeoutMs })
    pullRoute(app, { images, now, onUnexpected })
  }
  if (registries !== undefined) registriesRoutes(app, { registries, timeoutMs })
  if (service !== undefined) serviceRoutes(app, service)
  if (onEvent !== undefined) eventsRoute(app, { onEvent, isAuthentic, now })
  if (admission !== undefined) {
    admissionRoute(app, { ...admission, answers, limits, logger, now })
  }
  if (check !== undefined) checkRoute(app, check)
  healthRoutes(app, readiness)
  documentRoute(app, document)
}
