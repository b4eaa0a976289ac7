import { type FastifyHttpProxyOptions, fastifyHttpProxy } from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ResolveError } from '../../errors.ts'
import { formatReference } from '../../reference/reference.ts'
import { OCI_INDEX } from '../../registry/manifest.ts'
import { untilLeft } from '../deadline.ts'
import { hasAlready } from '../etag-and-gzip.ts'
import { MAX_LOGGED_CHARACTERS } from '../limits.ts'
import { Blobs } from './blobs.ts'
import { createContext, type MirrorContext, type MirrorOptions } from './context.ts'
import { findReferrers, listMirrorTags, nextLink, parsePage } from './discovery.ts'
import { accepts, Manifests } from './manifests.ts'
import {
  loopFailure,
  type MirrorFailure,
  methodFailure,
  mirrorFailure,
  pathFailure,
} from './mirror-failure.ts'
import { type MirrorKind, type MirrorTarget, parsePath } from './path.ts'

type Query = Readonly<Record<string, unknown>>

interface MirrorRequest {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly target: MirrorTarget
  readonly query: Query
  readonly method: 'GET' | 'HEAD'
  /** Ends with the client. */
  readonly signal: AbortSignal
}

const VERSION = ['docker-distribution-api-version', 'registry/2.0'] as const
/**
 * What is served comes from registries, and so does its media type: a browser must not run it as a page of
 * ours, which could ask the API.
 */
const NO_PAGE = {
  'content-security-policy': "default-src 'none'; sandbox",
  'x-content-type-options': 'nosniff',
} as const
/** What a tag points at may be something else the next time. */
const REVALIDATE = 'no-cache'

/**
 * `/v2/`: what is read of a registry (distribution-spec, "Pull" and "Content Discovery"), for every
 * registry there is. A client's own credentials go nowhere.
 */
export function mirrorRoutes(app: FastifyInstance, options: MirrorOptions): void {
  const mirror = new Mirror(createContext(options))
  const schema = { hide: true }
  // Of a body that fails before any of it was sent.
  app.setErrorHandler((error, _request, reply) => {
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    return mirror.fail(reply, error, 'blobs')
  })
  app.addHook('onRequest', async (request, reply) => {
    const { headers } = request
    if (options.via === undefined || !headers.via?.includes(options.via)) return
    options.logger.warn(
      { url: request.url.slice(0, MAX_LOGGED_CHARACTERS) },
      'a configured registry leads back to this service',
    )
    return send(reply, loopFailure())
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.headers(NO_PAGE)
  })
  for (const url of ['/v2', '/v2/']) {
    app.get(url, { schema }, (_request, reply) =>
      reply
        .header(...VERSION)
        .type('application/json; charset=utf-8')
        .send('{}'),
    )
  }
  app.register(fastifyHttpProxy, mirror.proxyOptions)
  app.route({
    method: ['POST', 'PUT', 'PATCH', 'DELETE'],
    url: '/v2/*',
    schema,
    // Before the body, which may be an image.
    onRequest: async (request, reply) => send(reply, methodFailure(request.method)),
    handler: async () => {},
  })
}

class Mirror {
  readonly #context: MirrorContext
  readonly #manifests: Manifests
  readonly #blobs: Blobs

  constructor(context: MirrorContext) {
    this.#context = context
    this.#manifests = new Manifests(context)
    this.#blobs = new Blobs(context)
  }

  /** Blobs are proxied; everything else is answered before that would begin. */
  get proxyOptions(): FastifyHttpProxyOptions {
    const { undici, replyOptions } = this.#blobs.proxyOptions
    return {
      routes: ['/v2/*'],
      httpMethods: ['GET', 'HEAD'],
      // Where requests go is known from the choice alone.
      upstream: '',
      proxyPayloads: false,
      disableCache: true,
      undici,
      preHandler: (request, reply) => this.#prepare(request, reply),
      replyOptions: {
        ...replyOptions,
        // The dispatcher has asked every registry that may have it.
        retryDelay: () => null,
        onResponse: (request, reply, { stream }) => {
          const hasBody = request.method === 'GET' && reply.statusCode !== 416
          reply.send(hasBody ? stream : undefined)
        },
        onError: (reply, { error }) =>
          this.fail(reply as FastifyReply, error.cause ?? error, 'blobs'),
      },
    }
  }

  /** @returns the reply where it was sent */
  async #prepare(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    let kind: MirrorKind | undefined
    const query = request.query as Query
    const { '*': path } = request.params as { readonly '*': string }
    reply.header(...VERSION)
    try {
      const target = parsePath(path, query['ns'])
      if (target === undefined) return send(reply, pathFailure(path))
      kind = target.kind
      const method = request.method === 'HEAD' ? 'HEAD' : 'GET'
      if (query['ns'] !== undefined) reply.header('oci-namespace', target.reference.domain)
      const signal = untilLeft(reply.raw)
      if (kind !== 'blobs') {
        return await this.#answer({ request, reply, target, query, method, signal })
      }
      await this.#blobs.choose(request, { method, reference: target.reference, signal })
      return undefined
    } catch (thrown) {
      return this.fail(reply, thrown, kind)
    }
  }

  /** @param kind of what was asked for; undefined: that could not be read */
  fail(reply: FastifyReply, thrown: unknown, kind: MirrorKind | undefined): FastifyReply {
    const failure = mirrorFailure(thrown, kind)
    const { unexpected: err } = failure
    if (err !== undefined) {
      const url = reply.request.url.slice(0, MAX_LOGGED_CHARACTERS)
      this.#context.logger.error({ err, url }, 'unexpected error')
    }
    return send(reply, failure)
  }

  #answer(asked: MirrorRequest): Promise<FastifyReply> {
    switch (asked.target.kind) {
      case 'tags':
        return this.#tags(asked)
      case 'referrers':
        return this.#referrers(asked)
      default:
        return this.#manifest(asked)
    }
  }

  async #manifest({
    request,
    reply,
    target,
    method,
    signal,
  }: MirrorRequest): Promise<FastifyReply> {
    const { reference } = target
    const { accept, 'cache-control': caching = '' } = request.headers
    const refresh = /\bno-(?:cache|store)\b/i.test(caching)
    const found = await this.#manifests.find({ method, reference, refresh, signal })
    if (!accepts(accept, found.mediaType)) {
      const what = formatReference(reference)
      const hint = `${what} is ${found.mediaType}, which \`Accept\` does not allow`
      throw new ResolveError('MANIFEST_UNKNOWN', hint)
    }
    const tag = `"${found.digest}"`
    reply.headers({
      'docker-content-digest': found.digest,
      etag: tag,
      'cache-control': reference.digest === undefined ? REVALIDATE : 'max-age=31536000',
      vary: 'Accept',
    })
    if (hasAlready(request.headers['if-none-match'], tag)) return reply.code(304).send()
    reply.headers({ 'content-type': found.mediaType, 'content-length': found.size })
    return reply.send(method === 'HEAD' ? undefined : found.bytes)
  }

  async #tags({ request, reply, target, query, signal }: MirrorRequest): Promise<FastifyReply> {
    const page = parsePage(query)
    const { names, last } = await listMirrorTags(this.#context, target.reference, page, signal)
    const [path = '', name = ''] = /^\/v2\/(.+)\/tags\/list/.exec(request.url) ?? []
    if (last !== undefined) {
      reply.header('link', nextLink(path, query['ns'], page.n ?? names.length, last))
    }
    reply.type('application/json; charset=utf-8')
    return reply.send(JSON.stringify({ name: decodeURIComponent(name), tags: names }))
  }

  async #referrers({
    request,
    reply,
    target,
    query,
    signal,
  }: MirrorRequest): Promise<FastifyReply> {
    const asked = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) {
      if (name !== 'ns' && typeof value === 'string') asked.set(name, value)
    }
    const { reference } = target
    const { bytes, filters, next } = await findReferrers(
      this.#context,
      reference,
      `${asked}`,
      signal,
    )
    if (filters !== undefined) reply.header('oci-filters-applied', filters)
    if (next !== undefined) {
      const [path] = request.url.split('?', 1)
      const ns =
        typeof query['ns'] === 'string' ? `&${new URLSearchParams({ ns: query['ns'] })}` : ''
      reply.header('link', `<${path}?${next}${ns}>; rel="next"`)
    }
    return reply.header('content-type', OCI_INDEX).send(bytes)
  }
}

function send(reply: FastifyReply, { status, headers, body }: MirrorFailure): FastifyReply {
  return reply
    .code(status)
    .headers({ ...headers, [VERSION[0]]: VERSION[1] })
    .send(body)
}
