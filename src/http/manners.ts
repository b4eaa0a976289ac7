import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { entityTag, gzippedTag, hasAlready } from './etag.ts'
import { acceptsGzip, gzipped, isWorthGzip } from './gzip.ts'

/** What every text that is sent gets: an entity tag where it may be kept, 304, gzip where it pays. */
export function addManners(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    // What is streamed is somebody else's, or is not at hand yet.
    if (typeof payload !== 'string' || payload === '') return payload
    const tag = mayBeKept(request, reply) ? entityTag(payload) : undefined
    if (tag !== undefined) reply.header('etag', tag)
    if (isWorthGzip(payload)) reply.header('vary', 'Accept-Encoding')
    if (tag !== undefined && hasAlready(request.headers['if-none-match'], tag)) {
      reply.code(304).removeHeader('content-type').removeHeader('content-length')
      // What makes HEAD of GET cannot do with null.
      return request.method === 'HEAD' ? '' : null
    }
    if (!isWorthGzip(payload)) return payload
    if (!acceptsGzip(request.headers['accept-encoding'])) return payload
    const body = await gzipped(payload)
    reply.header('content-encoding', 'gzip').removeHeader('content-length')
    if (tag !== undefined) reply.header('etag', gzippedTag(tag))
    return body
  })
}

function mayBeKept(request: FastifyRequest, reply: FastifyReply): boolean {
  const asked = request.method === 'GET' || request.method === 'HEAD'
  return asked && reply.statusCode === 200 && reply.getHeader('cache-control') !== 'no-store'
}
