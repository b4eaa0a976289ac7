import { createHash } from 'node:crypto'
import { constants, gzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'

/** Below this a body fits in one packet with its headers, and compressing it saves nothing. */
const WORTH_CHARACTERS = 1_024
/** Of compressed bodies that are kept, by their entity tag. */
const MAX_KEPT_BYTES = 2 * 1024 * 1024

/**
 * For every text that is sent: an entity tag where it may be kept, unless its route has given one; 304 for
 * `If-None-Match`; gzip where it pays.
 */
export function addEtagAndCompression(app: FastifyInstance): void {
  const kept = new LRUCache<string, Buffer>({
    maxSize: MAX_KEPT_BYTES,
    sizeCalculation: ({ length }) => length,
  })
  app.addHook('onSend', (request, reply, payload, done) => {
    // What is streamed comes from elsewhere, or is not at hand yet.
    if (typeof payload !== 'string' || payload === '') {
      done(null, payload)
      return
    }
    const tag = mayBeKept(request, reply) ? tagOf(reply, payload) : undefined
    const isLong = payload.length >= WORTH_CHARACTERS
    if (isLong) reply.header('vary', 'Accept-Encoding')
    const { headers } = request.raw
    if (tag !== undefined && hasAlready(headers['if-none-match'], tag)) {
      reply.code(304).removeHeader('content-type').removeHeader('content-length')
      // What makes HEAD of GET cannot do with null.
      done(null, request.method === 'HEAD' ? '' : null)
      return
    }
    if (!isLong || !acceptsGzip(headers['accept-encoding'])) {
      done(null, payload)
      return
    }
    const send = (body: Buffer): void => {
      reply.header('content-encoding', 'gzip').removeHeader('content-length')
      if (tag !== undefined) reply.header('etag', gzippedTag(tag))
      done(null, body)
    }
    const known = tag === undefined ? undefined : kept.get(tag)
    if (known !== undefined) {
      send(known)
      return
    }
    gzip(payload, { level: constants.Z_BEST_SPEED }, (error, body) => {
      if (error !== null) {
        done(error)
        return
      }
      // `body` may be the beginning of a chunk of 16 KiB, all of which would be kept with it.
      const own = Buffer.allocUnsafeSlow(body.length)
      own.set(body)
      if (tag !== undefined) kept.set(tag, own)
      send(own)
    })
  })
}

function mayBeKept({ method }: FastifyRequest, reply: FastifyReply): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  return reply.statusCode === 200 && reply.getHeader('cache-control') !== 'no-store'
}

function tagOf(reply: FastifyReply, payload: string): string {
  const given = reply.getHeader('etag')
  if (typeof given === 'string') return given
  const tag = entityTag(payload)
  reply.header('etag', tag)
  return tag
}

/** @param acceptEncoding the header (RFC 9110, 12.5.3) */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  if (acceptEncoding === undefined || !acceptEncoding.includes('gzip')) return false
  return acceptEncoding
    .split(',')
    .some((each) => /^\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(each))
}

/** A strong entity tag of a body as it is before it is compressed. */
export function entityTag(text: string): string {
  return `"${createHash('sha1').update(text).digest('base64url')}"`
}

/** Of the same body compressed: other bytes need another strong tag (RFC 9110, 8.8.3.3). */
export function gzippedTag(tag: string): string {
  return `${tag.slice(0, -1)}-gzip"`
}

/**
 * Whether the client has it already, compressed or not.
 *
 * @param ifNoneMatch the header: `*`, or tags with commas between
 */
export function hasAlready(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  const known = [tag, gzippedTag(tag)]
  return ifNoneMatch.split(',').some((each) => known.includes(each.trim().replace(/^W\//, '')))
}
