import type { FastifyInstance } from 'fastify'
import { withTimeout } from '../../concurrency/abortable.ts'
import { ResolveError, toResolveError } from '../../errors.ts'
import { parseReference } from '../../reference/reference.ts'
import { pinnedReference } from '../../workloads/image-mention.ts'
import { RequestError } from '../failure.ts'
import { answer, COMMON_PROBLEMS, problem } from '../responses.ts'
import type { Answers } from '../types.ts'

/** The most that the API server sends of an object (apiserver, MaxRequestBodyBytes). */
const MAX_BODY_BYTES = 3 * 1024 * 1024
/** Reviews at once, bodies included; beyond them a pod is admitted as it is. */
const MAX_AT_ONCE = 16
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

type Outcome = { readonly pinned: string } | { readonly problem: string } | 'kept'

/**
 * `POST /admission/pin`: a mutating webhook (admission.k8s.io/v1), by which pods get the digests of the tags that they
 * name. Nothing is kept, so that a dry run is as any other.
 */
export function admissionRoute(app: FastifyInstance, options: AdmissionOptions): void {
  let running = 0
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, taken) =>
      taken(null, body),
    )
    scope.setValidatorCompiler(() => () => true)
    scope.post<{ Body: string }>(
      '/admission/pin',
      { schema, config: { access: 'open' }, bodyLimit: MAX_BODY_BYTES },
      async ({ body }, reply) => {
        const { apiVersion, request } = readReview(body)
        reply.header('cache-control', 'no-store')
        const respond = (response: object) => ({
          apiVersion,
          kind: 'AdmissionReview',
          response: { uid: request['uid'], allowed: true, ...response },
        })
        if (running >= MAX_AT_ONCE) return respond(failed(options, ['too many pods at once']))
        running += 1
        try {
          return respond(await review(request, options))
        } finally {
          running -= 1
        }
      },
    )
    done()
  })
}

/** @throws RequestError for what is no AdmissionReview that can be answered */
function readReview(body: string): { readonly apiVersion: string; readonly request: Fields } {
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
  if (typeof asked['uid'] !== 'string' || asked['uid'] === '') fail('request.uid is missing')
  return { apiVersion: 'admission.k8s.io/v1', request: asked }
}

/** @returns what the response says beside `uid` and `allowed` */
async function review(request: Fields, options: AdmissionOptions): Promise<object> {
  const pod = fieldsOf(request['object'])
  const { annotations } = fieldsOf(pod['metadata'])
  const { [ANNOTATION]: wish, [MIRROR_POD]: mirror } = fieldsOf(annotations)
  const isPod = fieldsOf(request['kind'])['kind'] === 'Pod' && (request['subResource'] ?? '') === ''
  if (!isPod || request['operation'] !== 'CREATE') return {}
  if (mirror !== undefined) return skipped('a static pod stays as its file is')
  if (wish === 'disabled') return skipped(`${ANNOTATION} is disabled`)
  const places = placesOf(fieldsOf(pod['spec'])).slice(0, MAX_IMAGES)
  const outcomes = await pinAll([...new Set(places.map(({ reference }) => reference))], options)
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

function skipped(why: string): object {
  return { auditAnnotations: { skipped: why } }
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
): Promise<ReadonlyMap<string, Outcome>> {
  const outcomes = new Map<string, Outcome>()
  const caller = new AbortController()
  await withTimeout(caller.signal, budgetMs, async (signal) => {
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
  },
}
