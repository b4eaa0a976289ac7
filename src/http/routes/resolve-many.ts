import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import { ResolveManyRequest, type ResolveResult } from '../../../api/v1/resolve-many.ts'
import { inTurn } from '../../concurrency/in-turn.ts'
import { Semaphore } from '../../concurrency/semaphore.ts'
import { toResolveResponse } from '../../resolver/answers.ts'
import { ClientShares } from '../client-shares.ts'
import { untilLeft } from '../deadline.ts'
import { toFailure } from '../error-response.ts'
import { MAX_BATCH_BODY_BYTES } from '../limits.ts'
import { COMMON_PROBLEMS, problem, withRetryAfter } from '../responses.ts'
import type { RouteContext } from '../types.ts'

const NDJSON = 'application/x-ndjson'
/** Milliseconds after which a refused batch may come again. */
const RETRY_AFTER_MS = 2_000

/**
 * `POST /resolve`: many references at once. What becomes of one is no matter of the others. The results
 * are sent as they come, so that no more of them are held than the reader is behind.
 */
export function resolveManyRoute(
  app: FastifyInstance,
  { answers, isUnauthenticated, limits, manyTimeoutMs, onUnexpected }: RouteContext,
): void {
  const { maxBatchedReferences, maxBatches, maxBatchesPerClient, maxResultsAhead } = limits
  const shares = new ClientShares({
    max: maxBatches,
    maxPerClient: maxBatchesPerClient,
    what: 'POST /resolve are being answered',
    retryAfterMs: RETRY_AFTER_MS,
  })
  // Of the whole process: single questions and pulls must not wait for batches.
  const all = new Semaphore(maxBatchedReferences)
  // Before the body, which would be held as well.
  const onRequest: onRequestHookHandler = ({ raw }, reply, done) => {
    shares.enter(raw, reply.raw)
    done()
  }
  const config = { cache: 'no-store' } as const
  const route = { schema, config, onRequest, bodyLimit: MAX_BATCH_BODY_BYTES }
  app.post<{ Body: ResolveManyRequest }>('/resolve', route, async (request, reply) => {
    const { references, platform, verify } = request.body
    const isAll = verify === 'all'
    const signal = untilLeft(reply.raw, manyTimeoutMs)
    const unauthenticated = isUnauthenticated(request)
    const asked = {
      signal,
      unauthenticated,
      ...(isAll && { all: true }),
      ...(platform !== undefined && { platform }),
    }
    // No batch has more in the queue of all than others have, so that they go by turns.
    const own = new Semaphore(maxBatchedReferences)
    const asking = oneATurn(references)
    const results = inTurn(asking, maxResultsAhead, async (requested): Promise<string> => {
      try {
        const answer = () => answers.answer(requested, asked)
        const found = await own.run('', signal, () => all.run('', signal, answer))
        return toText({ requested, answer: toResolveResponse(found, false, isAll) })
      } catch (thrown) {
        const failure = toFailure(thrown, isAll)
        if (failure.unexpected !== undefined) onUnexpected(failure)
        return toText({ requested, error: failure.body })
      }
    })
    const wanted = wantsLines(request.headers.accept)
    const body = Readable.from(wanted ? linesOf(results) : listOf(results))
    return reply.type(wanted ? NDJSON : 'application/json; charset=utf-8').send(body)
  })
}

function toText(result: ResolveResult): string {
  return JSON.stringify(result)
}

async function* linesOf(results: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const result of results) yield `${result}\n`
}

/** A ResolveManyResponse. */
async function* listOf(results: AsyncIterable<string>): AsyncGenerator<string> {
  let before = '{"results":['
  for await (const result of results) {
    yield `${before}${result}`
    before = ','
  }
  yield ']}'
}

function wantsLines(accept: string | undefined): boolean {
  return accept?.split(',').some((each) => each.split(';', 1)[0]?.trim() === NDJSON) ?? false
}

/** A thousand answers out of a cache in one turn of the event loop would keep all other clients waiting for a third of a second. */
export async function* oneATurn<T>(things: readonly T[]): AsyncGenerator<T> {
  for (const thing of things) {
    await turn()
    yield thing
  }
}

const schema = {
  operationId: 'resolveMany',
  summary: 'The same of up to 1,000 references, each with a result of its own.',
  body: ResolveManyRequest,
  response: {
    200: {
      description: 'The results, in the order of the question.',
      content: {
        'application/json': { schema: { $ref: 'ResolveManyResponse#' } },
        [NDJSON]: { schema: { $ref: 'ResolveResult#' } },
      },
    },
    ...COMMON_PROBLEMS,
    429: withRetryAfter(problem('Too many requests, or as many of these as at one time.')),
    413: problem('The body is over 256 KiB.'),
    415: problem('The body is not `application/json`.'),
  },
}
