import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Server } from 'node:tls'
import {
  type FastifyContextConfig,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from 'fastify'
import { ResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'
import { markFailed, tracing } from '../telemetry/tracing.ts'
import { type Access, ambiguity, Guard } from './access/guard.ts'
import { Connections } from './connections.ts'
import { answerClientError, type Failure, RequestError, toFailure } from './error-response.ts'
import { addEtagAndCompression } from './etag-and-gzip.ts'
import { noCompilers, readInputs } from './inputs.ts'
import { HTTP_LIMITS, type Limits, MAX_LOGGED_CHARACTERS } from './limits.ts'
import { addRoutes } from './routes.ts'
import { createHttpServer } from './server.ts'
import { renewal } from './tls.ts'
import type { AccessOptions, RoutesOptions, TlsFiles } from './types.ts'

/** Shorter bodies are read and dropped: a client that is cut off while it sends may miss the answer. */
const MAX_PASSED_BY_BYTES = 64 * 1024

/** How soon a renewed certificate is taken up. */
const RENEWAL_LOOK_MS = 10_000

/** Adds routes of its own, with parsers, hooks and handlers that hold for these alone. */
export type RoutesOf = (app: FastifyInstance) => void

export interface AppOptions extends RoutesOptions {
  readonly logger: Logger
  /** `/v2/`, for containerd and others that pull through us. */
  readonly mirror?: RoutesOf
  /** The page for people, at `/`. */
  readonly page?: RoutesOf
  readonly access?: AccessOptions
  readonly tls?: TlsFiles | undefined
  readonly now?: () => number
  readonly limits?: Partial<Limits>
}

/**
 * The HTTP server, not yet listening: see listenHttp. Closing it ends every connection.
 *
 * @throws ResolveError CONFIG_INVALID for a certificate that cannot be used
 */
export function buildApp(options: AppOptions): FastifyInstance {
  const { access = {}, logger, now = Date.now } = options
  const limits = { ...HTTP_LIMITS, ...options.limits }
  const connections = new Connections(limits, logger)
  const app = createApp(options, limits, logger, connections)
  const guard = new Guard(access, () => app.server.address(), now)
  readInputs(app)
  app.setErrorHandler((error, request, reply) =>
    fail(logger, request, reply, toFailure(sourceOf(error, request), wantsTrace(request.query))),
  )
  const methodsOf = knownMethods(app)
  const keepAlive = `timeout=${Math.floor(limits.keepAliveTimeoutMs / 1_000)}`
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    if (reply.raw.shouldKeepAlive) reply.header('keep-alive', keepAlive)
    const { config } = request.routeOptions
    const access = accessOf(config, request)
    const refusal =
      ambiguity(request.raw) ??
      (access === 'health' ? undefined : crowdedOut(request.raw, connections)) ??
      guard.refusal(request.raw, access) ??
      (request.is404 ? unknownRoute(request, reply, methodsOf) : undefined)
    if (refusal !== undefined) {
      fail(logger, request, reply, toFailure(refusal))
      return
    }
    if (config?.cache !== undefined) reply.header('cache-control', config.cache)
    done()
  })
  if (options.tls !== undefined) renewCertificate(app, options.tls, logger)
  if (tracing !== undefined) traceRequests(app)
  addEtagAndCompression(app)
  app.addHook('preClose', async () => {
    connections.close()
    setTimeout(() => app.server.closeAllConnections(), limits.closeGraceMs).unref()
  })
  // Fastify closes a server that it was given only if it has also told it where to listen.
  app.addHook('onClose', async () => {
    if (app.server.listening) await new Promise((resolve) => app.server.close(resolve))
    await connections.drained()
  })
  const onUnexpected = ({ unexpected: err }: Failure): void => {
    logger.error({ err }, 'unexpected error')
  }
  addRoutes(app, options, {
    now,
    limits,
    logger,
    onUnexpected,
    isAuthentic: ({ raw }, body) => guard.isAuthentic(raw, body),
    isUnauthenticated: ({ raw }) => guard.isUnauthenticated(raw),
  })
  for (const routes of [options.mirror, options.page]) {
    if (routes === undefined) continue
    app.register((scope, _options, done) => {
      routes(scope)
      done()
    })
  }
  return app
}

function createApp(
  options: AppOptions,
  limits: Limits,
  logger: Logger,
  connections: Connections,
): FastifyInstance {
  const { tls } = options
  return fastify({
    // A line per request would cost more than a cached answer does; what matters is logged here.
    logger: false,
    // How long requests and connections may take stands in the server.
    serverFactory: (handler) => createHttpServer(handler, { limits, connections, tls }),
    // For the address that it tells when it listens.
    ...(tls !== undefined && ({ https: {} } as object)),
    bodyLimit: limits.maxBodyBytes,
    // While closing, a request on an open connection still gets its answer, and then the end.
    return503OnClosing: false,
    // Names are as long as the limit of the headers lets them be.
    routerOptions: { maxParamLength: limits.maxHeaderBytes },
    schemaController: noCompilers,
    genReqId: ({ headers }: FastifyRequest['raw']) => requestId(headers),
    clientErrorHandler: (error: NodeJS.ErrnoException, socket: Socket) => {
      connections.endAfterMistake(socket, () => answerClientError(error, socket))
    },
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      fail(logger, request, reply.header('x-request-id', request.id), toFailure(error))
    },
  })
}

/** As spans, which go on until the answer is sent or its client leaves. Not those for health, metrics and the page. */
function traceRequests(app: FastifyInstance): void {
  app.addHook('preHandler', (request, reply, done) => {
    const { config, url: route = '' } = request.routeOptions
    const { headers, method, protocol } = request
    const access = accessOf(config, request)
    const isOfPage = access === 'open' && method === 'GET'
    const isRoutine = access === 'health' || route === '/metrics' || isOfPage
    if (tracing === undefined || isRoutine) return done()
    const span = tracing.start(`${method} ${route}`, {
      kind: 'server',
      parent: tracing.incoming(headers),
      attributes: {
        'http.request.method': method,
        'http.route': route,
        'url.path': request.url.split('?', 1)[0]?.slice(0, MAX_LOGGED_CHARACTERS) ?? '',
        'url.scheme': protocol,
      },
    })
    reply.raw.once('close', () => {
      const { statusCode } = reply.raw
      span.setAttribute('http.response.status_code', statusCode)
      if (statusCode >= 500) markFailed(span, String(statusCode))
      span.end()
    })
    tracing.within(span, done)
  })
}

function renewCertificate(app: FastifyInstance, files: TlsFiles, logger: Logger): void {
  const look = renewal(files, app.server as unknown as Server, logger)
  const timer = setInterval(look, RENEWAL_LOOK_MS).unref()
  app.addHook('onClose', async () => clearInterval(timer))
}

/** A body that broke off, or an answer that ended before its first byte, is no fault of the service: its client left. */
function sourceOf(error: unknown, { raw }: FastifyRequest): unknown {
  const { code } = error as NodeJS.ErrnoException
  const isUnheard = code === 'ERR_STREAM_PREMATURE_CLOSE' && raw.socket.destroyed
  if (error !== raw.errored && !isUnheard) return error
  return new ResolveError('CANCELED', 'the caller went away', { cause: error })
}

function wantsTrace(query: unknown): boolean {
  const { all, explain } = query as Record<string, unknown>
  return all === true || explain === true
}

function fail(
  logger: Logger,
  request: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body, unexpected }: Failure,
): FastifyReply {
  if (unexpected !== undefined) {
    const { id } = request
    const url = request.url.slice(0, MAX_LOGGED_CHARACTERS)
    const trace = traceId(request.headers)
    logger.error({ err: unexpected, url, requestId: id, traceId: trace }, 'unexpected error')
  }
  return reply.code(status).headers(headers).send(body)
}

/** Before any body is read, whatever it is. */
function unknownRoute(
  request: FastifyRequest,
  reply: FastifyReply,
  methodsOf: (path: string) => readonly string[],
): RequestError {
  const { method, url } = request
  const path = url.split('?', 1)[0] ?? ''
  const shown = path.slice(0, MAX_LOGGED_CHARACTERS)
  // The body is not parsed, and before it is read the connection is of no use.
  if (isLongBody(request.headers)) reply.header('connection', 'close')
  const methods = methodsOf(path)
  if (methods.length === 0) {
    const message = `there is no ${shown}; GET /openapi.json lists what there is`
    return new RequestError('ROUTE_UNKNOWN', message)
  }
  reply.header('allow', methods.join(', '))
  const message = `${shown} answers ${methods.join(', ')}, not ${method}`
  return new RequestError('METHOD_UNSUPPORTED', message)
}

function isLongBody(headers: IncomingHttpHeaders): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  return Number(headers['content-length'] ?? 0) > MAX_PASSED_BY_BYTES
}

function accessOf(
  { access = 'read' }: FastifyContextConfig = {},
  { query }: Pick<FastifyRequest, 'query'>,
): Access {
  return typeof access === 'function' ? access(query as Record<string, unknown>) : access
}

function crowdedOut(
  { socket }: IncomingMessage,
  connections: Connections,
): ResolveError | undefined {
  if (!connections.isReserve(socket)) return undefined
  const message = 'this client has as many connections as it may have: close some'
  return new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs: 1_000 })
}

/**
 * Which methods a path answers, for a request with another one (RFC 9110, 15.5.6). Has to come before the routes.
 *
 * @returns takes a path without the query, as it was sent; none: there is no such path
 */
function knownMethods(app: FastifyInstance): (path: string) => readonly string[] {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    const path = url
      .replaceAll('.', '\\.')
      .replace(/:[^/]+/g, '[^/]+')
      .replace('*', '.*')
    routes.push({ pattern: new RegExp(`^${path}$`), methods: [method].flat() })
  })
  return (path) => {
    const fitting = routes.filter(({ pattern }) => pattern.test(path))
    return [...new Set(fitting.flatMap(({ methods }) => methods))].sort()
  }
}

/**
 * Two services, or two runs of one, must not give the same. No longer, so that an ID has at most twelve
 * characters for sixty million requests: what is longer V8 puts together only when Node checks the header,
 * and that takes longer than the check.
 */
const RUN = randomBytes(6).toString('base64url').slice(0, 6)
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'
let count = 0
/**
 * All but the last digit, written once for as many requests as there are digits: V8 keeps the text of each number in a
 * table of old objects, which every collection of new ones has to look through. That is a tenth of a cached answer.
 */
let prefix = ''

/** The caller's own when it is fit for a log, else a new one. */
export function requestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id']
  if (typeof given === 'string' && /^[\w.:/+=@-]{1,128}$/.test(given)) return given
  const last = count % DIGITS.length
  if (last === 0) prefix = `${RUN}-${Math.floor(count / DIGITS.length).toString(36)}`
  count += 1
  return `${prefix}${DIGITS[last]}`
}

/** The trace that a request belongs to (W3C Trace Context, `traceparent`), for the log. */
export function traceId(headers: IncomingHttpHeaders): string | undefined {
  const given = headers['traceparent']
  if (typeof given !== 'string') return undefined
  const [, id] = /^(?!ff)[\da-f]{2}-([\da-f]{32})-[\da-f]{16}-[\da-f]{2}(?:-|$)/.exec(given) ?? []
  return id === undefined || /^0+$/.test(id) ? undefined : id
}
