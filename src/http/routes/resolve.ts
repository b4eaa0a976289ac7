import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ResolveQuery } from '../../../api/v1/resolve.ts'
import { toResolveResponse } from '../../resolver/answers.ts'
import type { AnyAnswer } from '../../resolver/types.ts'
import type { Access } from '../access/guard.ts'
import { untilLeft } from '../deadline.ts'
import { RequestError } from '../error-response.ts'
import { entityTag } from '../etag-and-gzip.ts'
import { answer as answered, COMMON_PROBLEMS, problem, withRetryAfter } from '../responses.ts'
import type { Answers, RouteContext } from '../types.ts'

/** Questions that are remembered as they were read, of either kind of caller, and how long their URL may be. */
const MAX_QUERIES = 2_048
const MAX_URL_CHARACTERS = 1_024

interface ResolveRoute {
  Querystring: ResolveQuery
}

/** `GET /resolve`. */
export function resolveRoute(
  app: FastifyInstance,
  { answers, isUnauthenticated, now, timeoutMs, via }: RouteContext,
): void {
  const questions = new PreparedQueries(answers)
  const config = { access: accessFor }
  app.get<ResolveRoute>('/resolve', { schema, config }, (request, reply) => {
    const unauthenticated = isUnauthenticated(request)
    const known = questions.answer(request, unauthenticated, now())
    if (known === undefined) return ask(request, reply, unauthenticated)
    reply.headers(known.headers).send(known.text)
    // The reply itself is a promise, which would be waited for.
    return undefined
  })

  async function ask(
    request: FastifyRequest<ResolveRoute>,
    reply: FastifyReply,
    unauthenticated: boolean,
  ): Promise<string> {
    const { maxAge: maxAgeMs, ref, platform } = request.query
    const { all = false, explain = false, node = false, refresh = false } = request.query
    const answer = await answers.answer(ref, {
      signal: untilLeft(reply.raw, timeoutMs),
      refresh,
      node,
      unauthenticated,
      ...(all && { all }),
      ...(maxAgeMs !== undefined && { maxAgeMs }),
      ...(isOfResolver(request.headers.via, via) && { direct: true }),
      ...(platform !== undefined && { platform }),
    })
    const isAged = maxAgeMs !== undefined
    reply.headers(headersOf(answer, all || refresh, node || isAged, now()))
    const { ageMs = Math.max(0, now() - answer.resolvedAt) } = answer
    const told = isAged ? { ...answer, ageMs: Math.ceil(ageMs) } : answer
    return JSON.stringify(toResolveResponse(told, explain, explain || all))
  }
}

/** The name of another image-resolver in `Via` (RFC 9110, 7.6.3). */
const RESOLVER = /(?:^|[\s,])image-resolver-[\w-]+/

/**
 * Whether another service like this one asks.
 *
 * @throws RequestError REQUEST_INVALID for a question of this very service: it is one of its own `resolvers`
 */
function isOfResolver(header: string | undefined, own: string): boolean {
  if (header === undefined) return false
  if (!header.includes(own)) return RESOLVER.test(header)
  const how = 'take its own address out of `resolvers` in its configuration'
  throw new RequestError('REQUEST_INVALID', `this service asks itself: ${how}`)
}

function headersOf(
  answer: AnyAnswer,
  anew: boolean,
  node: boolean,
  now: number,
): Record<string, string> {
  const { digest } = answer
  return {
    'cache-control': cacheControl(answer, anew || node, now),
    'cache-status': cacheStatus(answer, anew, now),
    ...(digest !== undefined && { 'docker-content-digest': digest }),
    'content-type': 'application/json; charset=utf-8',
  }
}

/** An answer as it is sent: the text while the cache says the same, the headers until its second is over. */
interface PreparedAnswer {
  readonly answer: AnyAnswer
  readonly second: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  readonly etag: string
}

interface Question {
  readonly requested: string
  readonly find: () => AnyAnswer | undefined
  known?: PreparedAnswer
}

/** Questions that come again and again. Reading one and writing its answer takes longer than finding it. */
class PreparedQueries {
  readonly #answers: Answers
  /** Of unauthenticated callers and of others, by URL. */
  readonly #questions = {
    unauthenticated: new Map<string, Question>(),
    other: new Map<string, Question>(),
  }

  constructor(answers: Answers) {
    this.#answers = answers
  }

  /** @returns what the cache has at once; undefined: ask `answer` */
  answer(
    request: FastifyRequest<ResolveRoute>,
    unauthenticated: boolean,
    now: number,
  ): PreparedAnswer | undefined {
    const questions = this.#questions[unauthenticated ? 'unauthenticated' : 'other']
    const question = questions.get(request.url) ?? this.#read(request, questions, unauthenticated)
    const answer = question?.find()
    if (question === undefined || answer === undefined) return undefined
    const second = Math.floor(now / 1_000)
    const { known, requested } = question
    const isSame = known?.answer === answer
    if (isSame && known.second === second) return known
    const text = isSame
      ? known.text
      : JSON.stringify(toResolveResponse({ requested, ...answer }, false))
    const etag = isSame ? known.etag : entityTag(text)
    const headers = { ...headersOf(answer, false, false, now), etag }
    question.known = { answer, second, headers, text, etag }
    return question.known
  }

  #read(
    { headers, query, url }: FastifyRequest<ResolveRoute>,
    questions: Map<string, Question>,
    unauthenticated: boolean,
  ): Question | undefined {
    const { all, explain, maxAge, node, platform, ref, refresh } = query
    const isPlain = maxAge === undefined && headers.via === undefined
    if (all || explain || node || refresh || !isPlain) return undefined
    const find = this.#answers.prepare?.(ref, platform, unauthenticated)
    if (find === undefined) return undefined
    const question = { requested: ref, find }
    if (url.length > MAX_URL_CHARACTERS) return question
    if (questions.size >= MAX_QUERIES) questions.clear()
    questions.set(url, question)
    return question
  }
}

/** A digest names its image for ever, but the ranking around it follows the configuration. */
const DIGEST_MAX_AGE_SECONDS = 3600

/**
 * A client may keep an answer as long as the service itself does. Not what was asked to be asked
 * anew, not the state of the node, and nothing that was the best of a bad situation.
 *
 * @param volatile asked with `refresh`, `all`, `node` or `maxAge`
 */
function cacheControl(answer: AnyAnswer, volatile: boolean, now: number): string {
  if (volatile || answer.source === 'stale' || answer.source === 'node') return 'no-store'
  return `max-age=${Math.max(0, secondsLeft(answer, now))}`
}

/**
 * Where the answer comes from, in the words of RFC 9211.
 *
 * @param anew asked with `refresh` or `all`
 */
function cacheStatus(answer: AnyAnswer, anew: boolean, now: number): string {
  switch (answer.source) {
    case 'cache':
    case 'stale':
      return `image-resolver; hit; ttl=${secondsLeft(answer, now)}`
    case 'shared':
      return 'image-resolver; fwd=miss; detail=shared'
    case 'registry':
      return `image-resolver; fwd=${anew ? 'request' : 'miss'}`
    case 'node':
      return 'image-resolver; fwd=miss; detail=node'
  }
}

function secondsLeft({ expiresAt }: AnyAnswer, now: number): number {
  if (expiresAt === undefined) return DIGEST_MAX_AGE_SECONDS
  return Math.floor((expiresAt - now) / 1000)
}

/** Whether the runtime has an image is an answer for clients that may see its images. */
function accessFor({ node }: Readonly<Record<string, unknown>>): Access {
  return node === 'true' ? 'node' : 'read'
}

const schema = {
  operationId: 'resolve',
  summary: 'Which image is this reference, exactly, and where can it be pulled from?',
  description:
    'Asks the configured registries in order of priority, then the registry that the reference names. Answers from its cache while a tag is fresh.',
  querystring: ResolveQuery,
  response: {
    200: {
      ...answered('ResolveResponse', 'The image.'),
      headers: {
        'Docker-Content-Digest': {
          type: 'string',
          description: 'The same as `digest`; absent when that is null.',
        },
        'Cache-Control': {
          type: 'string',
          description: '`max-age` until `expiresAt`; `no-store` with `refresh`, `all` or `node`.',
        },
        'Cache-Status': {
          type: 'string',
          description: 'Where the answer comes from (RFC 9211).',
        },
        ETag: { type: 'string', description: 'For `If-None-Match`; absent with `no-store`.' },
      },
    },
    304: { type: 'null', description: 'The client has this very answer (`If-None-Match`).' },
    ...COMMON_PROBLEMS,
    401: problem(
      'Every registry that may have it asks for (other) credentials; with `WWW-Authenticate`: this service asks for its token.',
    ),
    403: problem('Every registry that may have it refuses.'),
    404: problem('No registry has it, or not for this platform.'),
    422: problem('It is there, but is no image that can run.'),
    429: withRetryAfter(problem('The registries, or this service, ask to wait.')),
    502: problem('The registries cannot be reached, or answer nonsense.'),
    504: problem('Out of time.'),
  },
}
