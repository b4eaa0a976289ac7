import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import type { AdmissionReview } from '../../../api/v1/admission.ts'
import { withTimeout } from '../../concurrency/abortable.ts'
import { ResolveError, toResolveError } from '../../errors.ts'
import { oneLine } from '../../reference/quote.ts'
import { parseReference } from '../../reference/reference.ts'
import { pinnedReference } from '../../workloads/image-mention.ts'
import { ClientShares } from '../client-shares.ts'
import { untilLeft } from '../deadline.ts'
import { withTextBodies } from '../inputs.ts'
import { MAX_REVIEW_BODY_BYTES } from '../limits.ts'
import { answer, COMMON_PROBLEMS, problem, withRetryAfter } from '../responses.ts'
import type { AdmissionOptions, Answers, RouteContext } from '../types.ts'
import { readReview, type Wanted } from './admission-review.ts'

/** Milliseconds after which a refused review may come again; most take less. */
const RETRY_AFTER_MS = 1_000
/** Kubernetes shows 256 characters of a warning. */
const MAX_TEXT = 256
/** Of a text for the audit log, or for the log of the service. */
const MAX_LONG_TEXT = 2_000
/** Everything that reaches the port can have lines logged. */
const LOG_EVERY_MS = 1_000

/** What became of one reference; one that has a digest already stays as it is. */
interface Outcome {
  readonly reference: string
  readonly pinned?: string
  /** For the caller, */
  readonly problem?: string
  /** and for the log. */
  readonly reason?: string
}

/**
 * `POST /admission/pin`: a mutating webhook (admission.k8s.io/v1), by which pods get the digests of the tags that they
 * name. Nothing is kept, so that a dry run is as any other.
 */
export function admissionRoute(app: FastifyInstance, context: RouteContext): void {
  const { admission, answers, limits } = context
  if (admission === undefined) return
  const { maxReviews: max, maxReviewsPerClient: maxPerClient } = limits
  const what = 'pods are being reviewed'
  const reviews = new ClientShares({ max, maxPerClient, what, retryAfterMs: RETRY_AFTER_MS })
  const log = logOf(context)
  withTextBodies(app, 'application/json', (scope) => {
    // Before the body is read: any client may send one.
    const onRequest: onRequestHookHandler = ({ raw }, reply, next) => {
      try {
        reviews.enter(raw, reply.raw)
      } catch (thrown) {
        // The body stays unread, and before it is read the connection is of no use.
        reply.header('connection', 'close').removeHeader('keep-alive')
        throw thrown
      }
      next()
    }
    const config = { access: 'open', cache: 'no-store' } as const
    scope.post<{ Body: string }>(
      '/admission/pin',
      { schema, config, onRequest, bodyLimit: MAX_REVIEW_BODY_BYTES },
      async ({ body }, reply): Promise<AdmissionReview> => {
        // It no longer counts then, so it has to end.
        const caller = untilLeft(reply.raw)
        const { apiVersion, uid, wanted } = readReview(body)
        const response = await review(wanted, { ...admission, answers, caller, log })
        return {
          apiVersion,
          kind: 'AdmissionReview',
          response: { uid, allowed: true, ...response },
        }
      },
    )
  })
}

/** Takes what the caller is not told. */
type Log = (reasons: readonly string[]) => void

function logOf({ logger, now }: RouteContext): Log {
  let loggedAt = Number.NEGATIVE_INFINITY
  return (reasons) => {
    const time = now()
    if (reasons.length === 0 || Math.abs(time - loggedAt) < LOG_EVERY_MS) return
    loggedAt = time
    logger.warn({ failed: longText(reasons, '; ') }, 'images of a pod were not pinned')
  }
}

function longText(texts: readonly string[], separator: string): string {
  return texts.join(separator).slice(0, MAX_LONG_TEXT)
}

interface ReviewOptions extends AdmissionOptions {
  readonly answers: Answers
  readonly caller: AbortSignal
  readonly log: Log
}

/** @returns what the response says beside `uid`, and `allowed` where it is not */
async function review(
  { places, skipped, problem }: Wanted,
  options: ReviewOptions,
): Promise<Partial<AdmissionReview['response']>> {
  if (skipped !== undefined) return { auditAnnotations: { skipped } }
  const references = [...new Set(places.map(({ reference }) => reference))]
  const { answers, budgetMs, caller, log } = options
  // Each at the same time, all within the budget.
  const outcomes = await withTimeout(caller, budgetMs, (signal) =>
    Promise.all(references.map((reference) => pinOne(reference, answers, signal))),
  )
  const values = new Map(outcomes.map(({ pinned, reference }) => [reference, pinned]))
  // RFC 6902.
  const patch = places.flatMap(({ path, reference }) => {
    const value = values.get(reference)
    return value === undefined ? [] : [{ op: 'replace', path, value }]
  })
  const failures = outcomes.filter(({ problem }) => problem !== undefined)
  log(failures.map(({ reference, reason }) => `${reference}: ${reason}`))
  // First: of the warnings, ten are shown.
  const problems = problem === undefined ? [] : [problem]
  problems.push(
    ...failures.map(({ problem, reference }) => oneLine(`${reference}: ${problem}`, MAX_TEXT)),
  )
  const failure = problems.length === 0 ? {} : failed(options, problems)
  if (failure.allowed === false || patch.length === 0) return failure
  const pinned = [...new Set(patch.map(({ value }) => value))]
  const auditAnnotations = { ...failure.auditAnnotations, pinned: longText(pinned, ' ') }
  const encoded = Buffer.from(JSON.stringify(patch)).toString('base64')
  return { ...failure, patchType: 'JSONPatch', patch: encoded, auditAnnotations }
}

/** A pod that is not wholly pinned: it is admitted with a warning, or rejected. */
function failed(
  { rejects }: AdmissionOptions,
  problems: readonly string[],
): Partial<AdmissionReview['response']> {
  const auditAnnotations = { failed: longText(problems, '; ') }
  const texts = problems.map((each) => `image-resolver: not pinned: ${each}`.slice(0, MAX_TEXT))
  if (!rejects) return { auditAnnotations, warnings: texts.slice(0, 10) }
  const status = { code: 503, reason: 'ServiceUnavailable', message: texts.join('\n') }
  return { auditAnnotations, allowed: false, status }
}

async function pinOne(reference: string, answers: Answers, signal: AbortSignal): Promise<Outcome> {
  try {
    const { digest, tag } = parseReference(reference)
    if (digest !== undefined) return { reference }
    // A webhook shows no token: the operator's credentials are for configured registries alone.
    const found = await answers.answer(reference, { signal, unauthenticated: true })
    if (found.digest === undefined || found.source === 'node') {
      throw new ResolveError('UNAVAILABLE', 'no registry answers')
    }
    return { reference, pinned: pinnedReference(reference, { tag, digest: found.digest }) }
  } catch (thrown) {
    const error = toResolveError(thrown)
    const reason = `${error.code}: ${error.message}`
    return { reference, problem: problemOf(error), reason }
  }
}

/**
 * The caller shows no token, and may ask for any host: a code, or a text of a registry, would tell which hosts
 * there are, and how an address answers. So there is one text for every failure but two: what is no reference,
 * and what every registry that was asked says it does not have.
 */
function problemOf({ attempts, code, message }: ResolveError): string {
  if (code === 'NAME_INVALID') return `${code}: ${message}`
  const isAbsent = code === 'MANIFEST_UNKNOWN' || code === 'PLATFORM_UNKNOWN'
  return isAbsent && attempts.every(({ outcome }) => outcome === 'not_found')
    ? 'no registry has it'
    : 'its digest could not be found out: the log of the service may say why'
}

const schema = {
  operationId: 'pinPod',
  summary: 'A mutating webhook: pods get the digests of the tags that they name.',
  description:
    'Takes and answers AdmissionReview of admission.k8s.io/v1 as the API server of Kubernetes sends it. Served with `admission.enabled` alone, and without a token, since the API server sends none.',
  body: { type: 'object', description: 'An AdmissionReview.', additionalProperties: true },
  response: {
    200: answer('AdmissionReview', 'Whether the pod is admitted, and how it is changed.'),
    ...COMMON_PROBLEMS,
    413: problem('The body is over 3 MiB.'),
    415: problem('The body is not `application/json`.'),
    429: withRetryAfter(
      problem(
        'As many pods are being reviewed as at one time, or for this client: with `failurePolicy: Ignore` the API server admits this one unchanged.',
      ),
    ),
  },
}
