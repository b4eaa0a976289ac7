import { type FastifyInstance, type FastifyReply, fastify } from 'fastify'
import type { Logger } from '../telemetry/logger.ts'
import { answerClientError } from './client-error.ts'
import { type Failure, requestFailure, toFailure } from './failure.ts'
import { type QuerySchema, readQuery } from './query.ts'
import { healthRoutes } from './routes/health.ts'
import { resolveRoute } from './routes/resolve.ts'
import type { Answers, Readiness } from './types.ts'

/** What one client may take. */
export interface Limits {
  /** Request line and headers together. */
  readonly maxHeaderBytes: number
  readonly maxConnections: number
  /** Until the headers are there. */
  readonly headersTimeoutMs: number
  /** Until the whole request is there. */
  readonly requestTimeoutMs: number
  /** Of a connection without a request. */
  readonly keepAliveTimeoutMs: number
  /** What requests in flight get when the door closes. */
  readonly closeGraceMs: number
}

const defaultLimits: Limits = {
  maxHeaderBytes: 16 * 1024,
  maxConnections: 1024,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 15_000,
  keepAliveTimeoutMs: 60_000,
  closeGraceMs: 5_000,
}

export interface AppOptions {
  readonly answers: Answers
  readonly readiness: Readiness
  readonly logger: Logger
  /** Total limit of one /resolve. Default: 30 seconds. */
  readonly timeoutMs?: number
  readonly now?: () => number
  readonly limits?: Partial<Limits>
}

/** The HTTP door, not yet listening: see listenHttp. Closing it ends every connection. */
export function buildApp(options: AppOptions): FastifyInstance {
  const { answers, readiness, logger, timeoutMs = 30_000, now = Date.now } = options
  const limits = { ...defaultLimits, ...options.limits }
  const sendFailure = (reply: FastifyReply, failure: Failure) => {
    if (failure.unexpected !== undefined) {
      logger.error({ err: failure.unexpected, url: reply.request.url }, 'unexpected error')
    }
    return reply.code(failure.status).headers(failure.headers).send(failure.body)
  }

  const app = fastify({
    // A line per request would cost more than a cached answer does; what matters is logged here.
    logger: false,
    http: {
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5_000),
    },
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    forceCloseConnections: 'idle',
    // While closing, a request on an open connection still gets its answer, and then the end.
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    frameworkErrors: (error, _request, reply) => sendFailure(reply, toFailure(error)),
  })
  // A query is the only input, and every body is built field by field: compiled validators and
  // serialisers would only make the start slower, by a third of a second.
  app.setValidatorCompiler<QuerySchema>(
    ({ schema }) =>
      (query) =>
        readQuery(schema, query),
  )
  app.setSerializerCompiler(() => JSON.stringify)
  app.server.maxConnections = limits.maxConnections
  app.setErrorHandler((error, _request, reply) => sendFailure(reply, toFailure(error)))
  refuseOthers(app, sendFailure)
  app.addHook('preClose', async () => {
    setTimeout(() => app.server.closeAllConnections(), limits.closeGraceMs).unref()
  })

  resolveRoute(app, { answers, timeoutMs, now })
  healthRoutes(app, readiness)
  documentRoute(app)
  return app
}

/** What describes the API is loaded when somebody asks, which in most services nobody ever does. */
function documentRoute(app: FastifyInstance): void {
  let document: Promise<string> | undefined
  app.get('/openapi.json', async (_request, reply) => {
    document ??= import('./document.ts').then(({ openapiDocument }) => openapiDocument('json'))
    return reply.type('application/json; charset=utf-8').send(await document)
  })
}

/** Unknown paths, and methods other than GET and HEAD, whatever body they bring. */
function refuseOthers(
  app: FastifyInstance,
  sendFailure: (reply: FastifyReply, failure: Failure) => FastifyReply,
): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.setNotFoundHandler((request, reply) => {
    const { method, url } = request
    const path = url.split('?', 1)[0]?.slice(0, 200) ?? ''
    // An unread body would have to be read to its end before the connection is good again.
    if (method !== 'GET' && method !== 'HEAD') reply.header('connection', 'close')
    if (app.hasRoute({ method: 'GET', url: path })) {
      reply.header('allow', 'GET, HEAD')
      const message = `${path} answers GET and HEAD, not ${method}`
      return sendFailure(reply, requestFailure('METHOD_UNSUPPORTED', message))
    }
    const message = `there is no ${path}; GET /openapi.json lists what there is`
    return sendFailure(reply, requestFailure('ROUTE_UNKNOWN', message))
  })
}
