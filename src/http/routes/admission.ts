import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { withTimeout } from '../../concurrency/abortable.ts'
import { ResolveError, toResolveError } from '../../errors.ts'
import { parseReference } from '../../reference/reference.ts'
import { pinnedReference } from '../../workloads/image-mention.ts'
import { RequestError } from '../failure.ts'
import { answer, COMMON_PROBLEMS, problem, withRetryAfter } from '../responses.ts'
import type { Answers } from '../types.ts'

/** The most that the API server sends of an object (apiserver, MaxRequestBodyBytes). */
const MAX_BODY_BYTES = 3 * 1024 * 1024
/** Reviews at once, from before their bodies are read. */
const MAX_AT_ONCE = 16
/** Milliseconds after which a refused review may come again; most take less. */
const RETRY_AFTER_MS = 1_000
/** Of one pod. More are left as they are. */
const MAX_IMAGES = 100
/** Kubernetes shows 256 characters of a warning. */
const MAX_TEXT = 256

/** A pod with this annotation set to `disabled` is left as it is. */
const ANNOTATION = 'image-resolver/pin'
/** The kubelet's own copy of a static pod, which has to stay as its file is. */
const MIRROR_POD = 'kubernetes.io/config.mirror'

export interface AdmissionOptions {
  readonly answers: Answers
  /** For all images of a pod together. */
  readonly budgetMs: number
  /** Whether a pod is rejected with an image that is not known in time. */
  readonly rejects: boolean
}

type Fields = Readonly<Record<string, unknown>>

interface Operation {
  readonly op: 'replace'
  /** RFC 6901. */
  readonly path: string
  readonly value: string
}

/** One place of a pod that names an image. */
interface Place {
  readonly path: string
  readonly reference: string
}

interface Wanted {
  readonly places: readonly Place[]
  /** Why there are none. */
  readonly skipped?: string
}

/** What is read of a review. The rest may take twenty times its 3 MiB, and is not held while registries are asked. */
interface Review {
  readonly apiVersion: string
  readonly uid: string
  readonly wanted: Wanted
}

type Outcome = { readonly pinned: string } | { readonly problem: string } | 'kept'

/**
 * `POST /admission/pin`: a mutating webhook (admission.k8s.io/v1), by which pods get the digests of the tags that they
 * name. Nothing is kept, so that a dry run is as any other.
 */
export function admissionRoute(app: FastifyInstance, options: AdmissionOptions): void {
  let open = 0
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, taken) =>
      taken(null, body),
    )
    scope.setValidatorCompiler(() => () => true)
    // Before the body, which anyone may send.
    const onRequest = async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => {
      if (open >= MAX_AT_ONCE) {
        // The body stays unread, and before it is read the connection is of no use.
        reply.header('connection', 'close').removeHeader('keep-alive')
        throw tooMany()
      }
      open += 1
      reply.raw.once('close', () => (open -= 1))
    }
    scope.post<{ Body: string }>(
      '/admission/pin',
      { schema, config: { access: 'open' }, onRequest, bodyLimit: MAX_BODY_BYTES },
      async ({ body }, reply) => {
        const left = new AbortController()
        // It no longer counts then, so it has to end.
        reply.raw.once('close', () => left.abort())
        const { apiVersion, uid, wanted } = readReview(body)
        reply.header('cache-control', 'no-store')
        const response = await review(wanted, options, left.signal)
        return {
          apiVersion,
          kind: 'AdmissionReview',
          response: { uid, allowed: true, ...response },
        }
      },
    )
    done()
  })
}

function tooMany(): ResolveError {
  const message = `${MAX_AT_ONCE} pods are being reviewed, which is as many as at one time`
  return new ResolveError('TOOMANYREQUESTS', message, { retryAfterMs: RETRY_AFTER_MS })
}

/** @throws RequestError for what is no AdmissionReview that can be answered */
function readReview(body: string): Review {
  const fail = (why: string): never => {
    throw new RequestError('REQUEST_INVALID', `the body is no AdmissionReview: ${why}`)
  }
  let review: unknown
  try {
    review = JSON.parse(body)
  } catch {
    fail('it is not JSON')
  }
  const { apiVersion, kind, request } = fieldsOf(review)
  if (kind !== 'AdmissionReview') fail('its kind is another one')
  if (apiVersion !== 'admission.k8s.io/v1') fail('apiVersion has to be admission.k8s.io/v1')
  const asked = fieldsOf(request)
  const { uid } = asked
  if (typeof uid !== 'string' || uid === '') return fail('request.uid is missing')
  return { apiVersion: 'admission.k8s.io/v1', uid, wanted: wantedOf(asked) }
}

function wantedOf(request: Fields): Wanted {
  const pod = fieldsOf(request['object'])
  const { annotations } = fieldsOf(pod['metadata'])
  const { [ANNOTATION]: wish, [MIRROR_POD]: mirror } = fieldsOf(annotations)
  const isPod = fieldsOf(request['kind'])['kind'] === 'Pod' && (request['subResource'] ?? '') === ''
  if (!isPod || request['operation'] !== 'CREATE') return { places: [] }
  if (mirror !== undefined) return { places: [], skipped: 'a static pod stays as its file is' }
  if (wish === 'disabled') return { places: [], skipped: `${ANNOTATION} is disabled` }
  return { places: placesOf(fieldsOf(pod['spec'])).slice(0, MAX_IMAGES) }
}

/** @returns what the response says beside `uid` and `allowed` */
async function review(
  { places, skipped }: Wanted,
  options: AdmissionOptions,
  caller: AbortSignal,
): Promise<object> {
  if (skipped !== undefined) return { auditAnnotations: { skipped } }
  const outcomes = await pinAll(
    [...new Set(places.map(({ reference }) => reference))],
    options,
    caller,
  )
  const patch = places.flatMap(({ path, reference }): Operation[] => {
    const outcome = outcomes.get(reference)
    if (outcome === undefined || outcome === 'kept' || !('pinned' in outcome)) return []
    return [{ op: 'replace', path, value: outcome.pinned }]
  })
  const problems = [...outcomes].flatMap(([reference, outcome]) =>
    outcome !== 'kept' && 'problem' in outcome ? [`${reference}: ${outcome.problem}`] : [],
  )
  const failure: Failure = problems.length === 0 ? {} : failed(options, problems)
  if ('allowed' in failure || patch.length === 0) return failure
  const pinned = [...new Set(patch.map(({ value }) => value))]
  const auditAnnotations = { ...failure.auditAnnotations, pinned: pinned.join(' ') }
  const encoded = Buffer.from(JSON.stringify(patch)).toString('base64')
  return { ...failure, patchType: 'JSONPatch', patch: encoded, auditAnnotations }
}

interface Failure {
  readonly allowed?: false
  readonly auditAnnotations?: { readonly failed: string }
  readonly warnings?: readonly string[]
}

/** A pod that is not wholly pinned: it is admitted with a warning, or rejected. */
function failed(
  { rejects }: AdmissionOptions,
  problems: readonly string[],
): Failure & { readonly status?: object } {
  const auditAnnotations = { failed: problems.join('; ') }
  const texts = problems.map((each) => `image-resolver: not pinned: ${each}`.slice(0, MAX_TEXT))
  if (!rejects) return { auditAnnotations, warnings: texts.slice(0, 10) }
  const status = { code: 503, reason: 'ServiceUnavailable', message: texts.join('\n') }
  return { auditAnnotations, allowed: false, status } as const
}

/** `image` of every container, and `reference` of image volumes (core/v1 PodSpec). */
function placesOf(spec: Fields): readonly Place[] {
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((field) =>
    listOf(spec[field]).map((container, index) => ({
      path: `/spec/${field}/${index}/image`,
      reference: fieldsOf(container)['image'],
    })),
  )
  const volumes = listOf(spec['volumes']).map((volume, index) => ({
    path: `/spec/volumes/${index}/image/reference`,
    reference: fieldsOf(fieldsOf(volume)['image'])['reference'],
  }))
  return [...containers, ...volumes].flatMap(({ path, reference }) =>
    typeof reference === 'string' && reference !== '' ? [{ path, reference }] : [],
  )
}

/** Each at the same time, all within the budget. */
async function pinAll(
  references: readonly string[],
  { answers, budgetMs }: AdmissionOptions,
  caller: AbortSignal,
): Promise<ReadonlyMap<string, Outcome>> {
  const outcomes = new Map<string, Outcome>()
  await withTimeout(caller, budgetMs, async (signal) => {
    await Promise.all(
      references.map(async (reference) => {
        outcomes.set(reference, await pinOne(reference, answers, signal))
      }),
    )
  })
  return outcomes
}

async function pinOne(reference: string, answers: Answers, signal: AbortSignal): Promise<Outcome> {
  try {
    const { digest, tag } = parseReference(reference)
    if (digest !== undefined) return 'kept'
    // A webhook shows no token: the operator's credentials are for configured registries alone.
    const found = await answers.answer(reference, { signal, unauthenticated: true })
    if (found.digest === undefined || found.source === 'node') {
      throw new ResolveError('UNAVAILABLE', 'no registry answers')
    }
    return { pinned: pinnedReference(reference, { tag, digest: found.digest }) }
  } catch (thrown) {
    const { code, message } = toResolveError(thrown)
    return { problem: code === 'UNKNOWN' ? code : `${code}: ${message}` }
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
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
        '16 pods are being reviewed: with `failurePolicy: Ignore` the API server admits this one unchanged.',
      ),
    ),
  },
}
