import { type Fields, fieldsOf } from '../../json.ts'
import { RequestError } from '../error-response.ts'

/** Of one pod. More are left as they are, which is a problem as any other. */
const MAX_IMAGES = 100
/**
 * Lists, objects and what is in them, of which a pod has some hundreds: nothing else is done while a million of
 * them are read.
 */
const MAX_PARTS = 50_000
/** Kubernetes sends a UUID. */
const MAX_UID = 256

/** A pod with this annotation set to `disabled` is left as it is. */
const ANNOTATION = 'image-resolver/pin'
/** The kubelet's own copy of a static pod, which has to stay as its file is. */
const MIRROR_POD = 'kubernetes.io/config.mirror'
/** Begins the name of a user that is a kubelet: any user may write the annotation. */
const KUBELET = 'system:node:'

/** One place of a pod that names an image. */
interface Place {
  readonly path: string
  readonly reference: string
}

export interface Wanted {
  readonly places: readonly Place[]
  /** Why there are none. */
  readonly skipped?: string
  /** Of the pod as a whole. */
  readonly problem?: string
}

/** What is read of a review. The rest may take several times its 3 MiB, and is not held while registries are asked. */
export interface Review {
  readonly apiVersion: 'admission.k8s.io/v1'
  readonly uid: string
  readonly wanted: Wanted
}

/** @throws RequestError for what is no AdmissionReview that can be answered */
export function readReview(body: string): Review {
  const fail = (why: string): never => {
    throw new RequestError('REQUEST_INVALID', `the body is no AdmissionReview: ${why}`)
  }
  let review: unknown
  if (hasTooManyParts(body)) fail(`it has more than ${MAX_PARTS} parts`)
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
  if (uid.length > MAX_UID) fail(`request.uid is longer than ${MAX_UID} characters`)
  return { apiVersion: 'admission.k8s.io/v1', uid, wanted: wantedOf(asked) }
}

/** Those in texts count too. */
function hasTooManyParts(body: string): boolean {
  let parts = 0
  for (let at = 0; at < body.length && parts <= MAX_PARTS; at += 1) {
    const sign = body[at]
    if (sign === ',' || sign === '{' || sign === '[') parts += 1
  }
  return parts > MAX_PARTS
}

function wantedOf(request: Fields): Wanted {
  const pod = fieldsOf(request['object'])
  const { annotations } = fieldsOf(pod['metadata'])
  const { [ANNOTATION]: wish, [MIRROR_POD]: mirror } = fieldsOf(annotations)
  const { group, kind } = fieldsOf(request['kind'])
  const isPod = group === '' && kind === 'Pod' && (request['subResource'] ?? '') === ''
  if (!isPod || request['operation'] !== 'CREATE') return { places: [] }
  if (mirror !== undefined && isKubelet(request['userInfo']))
    return { places: [], skipped: 'a static pod stays as its file is' }
  if (wish === 'disabled') return { places: [], skipped: `${ANNOTATION} is disabled` }
  const places: Place[] = []
  for (const place of placesOf(fieldsOf(pod['spec']))) {
    if (places.length === MAX_IMAGES) return { places, problem: `more than ${MAX_IMAGES} images` }
    places.push(place)
  }
  return { places }
}

function isKubelet(userInfo: unknown): boolean {
  const { username } = fieldsOf(userInfo)
  return typeof username === 'string' && username.startsWith(KUBELET)
}

/** `image` of every container, and `reference` of image volumes (core/v1 PodSpec), one after the other: a caller needs few. */
function* placesOf(spec: Fields): Generator<Place> {
  for (const field of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const [index, container] of listOf(spec[field]).entries()) {
      const reference = fieldsOf(container)['image']
      if (isNamed(reference)) yield { path: `/spec/${field}/${index}/image`, reference }
    }
  }
  for (const [index, volume] of listOf(spec['volumes']).entries()) {
    const reference = fieldsOf(fieldsOf(volume)['image'])['reference']
    if (isNamed(reference)) yield { path: `/spec/volumes/${index}/image/reference`, reference }
  }
}

function isNamed(reference: unknown): reference is string {
  return typeof reference === 'string' && reference !== ''
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
