import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ResolveManyRequest, type ResolveResult } from '../../../api/v1/resolve-many.ts'
import { toResolveResponse } from '../../resolver/answer-body.ts'
import { startDeadline } from '../deadline.ts'
import { type Failure, toFailure } from '../failure.ts'
import { inOrder } from '../in-order.ts'
import { COMMON_PROBLEMS, problem } from '../responses.ts'
import type { Answers } from '../types.ts'

/** References of one request that are resolved at one time. */
const AT_ONCE = 16
/** A thousand references of a quarter of a KiB. */
const MAX_BODY_BYTES = 256 * 1024
const NDJSON = 'application/x-ndjson'

export interface ResolveManyOptions {
  readonly answers: Answers
  /** For all of them together. */
  readonly timeoutMs: number
  readonly isStranger: (request: FastifyRequest) => boolean
  /** Hears of what is nobody's mistake but ours. */
  readonly onUnexpected: (failure: Failure) => void
}

/** `POST /resolve`: many references at once. What becomes of one is no matter of the others. */
export function resolveManyRoute(app: FastifyInstance, options: ResolveManyOptions): void {
  const { answers, isStranger, timeoutMs, onUnexpected } = options
  const limited = { schema, bodyLimit: MAX_BODY_BYTES }
  app.post<{ Body: ResolveManyRequest }>('/resolve', limited, async (request, reply) => {
    const { references, platform } = request.body
    const deadline = startDeadline(request.raw, timeoutMs)
    const { signal } = deadline
    const stranger = isStranger(request)
    const asked = { signal, stranger, ...(platform !== undefined && { platform }) }
    const results = inOrder(references, AT_ONCE, async (requested): Promise<ResolveResult> => {
      try {
        // One that would be asked when the time is up fails at once.
        signal.throwIfAborted()
        const found = await answers.answer(requested, asked)
        return { requested, answer: toResolveResponse(found, false) }
      } catch (thrown) {
        const failure = toFailure(thrown)
        if (failure.unexpected !== undefined) onUnexpected(failure)
        return { requested, error: failure.body }
      }
    })
    reply.header('cache-control', 'no-store')
    if (wantsLines(request.headers.accept)) {
      const lines = Readable.from(linesOf(results))
      lines.once('close', () => deadline.clear())
      return reply.type(NDJSON).send(lines)
    }
    try {
      const all: ResolveResult[] = []
      for await (const result of results) all.push(result)
      return { results: all }
    } finally {
      deadline.clear()
    }
  })
}

async function* linesOf(results: AsyncIterable<ResolveResult>): AsyncGenerator<string> {
  for await (const result of results) yield `${JSON.stringify(result)}\n`
}

function wantsLines(accept: string | undefined): boolean {
  return accept?.split(',').some((each) => each.split(';', 1)[0]?.trim() === NDJSON) ?? false
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
    413: problem('The body is over 256 KiB.'),
    415: problem('The body is not `application/json`.'),
  },
}
