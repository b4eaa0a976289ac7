import { ResolveError } from '../errors.ts'
import type { Credentials, AuthConfig as WrittenAuthConfig } from '../registry/credentials.ts'
import { endpointUrl } from '../registry/endpoint.ts'
import type { Candidate } from '../resolver/types.ts'
import { readMessage, readString, withBytes, without, withString } from './wire.ts'

/**
 * The CRI image messages that this server reads and rewrites, as bytes. Field numbers: protos/runtime;
 * v1 and v1alpha2 agree in all of them.
 */
const IMAGE_SPEC = 1
/** The longest reference has some 700; other names of a runtime's own are no longer either. */
const MAX_NAME_BYTES = 4_096
/** Kubernetes' names have at most 253 characters. */
const MAX_POD = 253
const AUTH = 2
const SANDBOX_CONFIG = 3
const IMAGE = 1
const IMAGE_REF = 1
const RUNTIME_HANDLER = 19
const HANDLER_ANNOTATION = 'io.containerd.cri.runtime-handler'

/** As it comes off the wire: every field is there, '' where nothing was written. */
export type AuthConfig = Required<WrittenAuthConfig>

/**
 * The image of a PullImageRequest, ImageStatusRequest or RemoveImageRequest; '' when there is none.
 *
 * @throws ResolveError NAME_INVALID for a name of more than 4,096 bytes: it would go into logs, errors and
 * the runtime's own log
 */
export function requestedImage(request: Uint8Array): string {
  const image = readString(readMessage(request, IMAGE_SPEC) ?? new Uint8Array(), IMAGE)
  const bytes = Buffer.byteLength(image)
  if (bytes <= MAX_NAME_BYTES) return image
  const message = `the name of the image has ${bytes} bytes, and ${MAX_NAME_BYTES} are the most`
  throw new ResolveError('NAME_INVALID', message)
}

/** The same request for another image; annotations, runtime handler and all else stay. */
export function withImage(request: Uint8Array, image: string): Uint8Array {
  const spec = readMessage(request, IMAGE_SPEC) ?? new Uint8Array()
  return withBytes(request, IMAGE_SPEC, withString(spec, IMAGE, image))
}

/**
 * Whether it asks for what a runtime class needs, which may be another platform, or unpacked in another way:
 * by the handler's name, or in the annotation that containerd 1.7 and later read.
 */
export function isForRuntimeClass(request: Buffer): boolean {
  const spec = readMessage(request, IMAGE_SPEC) ?? new Uint8Array()
  return readString(spec, RUNTIME_HANDLER) !== '' || request.includes(HANDLER_ANNOTATION)
}

/** The caller's credentials; undefined also when there is a message without any in it. */
export function requestedAuth(request: Uint8Array): AuthConfig | undefined {
  const auth = readMessage(request, AUTH)
  if (auth === undefined) return undefined
  const config: AuthConfig = {
    username: readString(auth, 1),
    password: readString(auth, 2),
    auth: readString(auth, 3),
    serverAddress: readString(auth, 4),
    identityToken: readString(auth, 5),
    registryToken: readString(auth, 6),
  }
  const { serverAddress: _, ...secrets } = config
  return Object.values(secrets).some((secret) => secret !== '') ? config : undefined
}

/** The pod of a PullImageRequest; undefined where the caller names none. Names are cut where they are too long. */
export function requestedPod(
  request: Uint8Array,
): { readonly namespace: string; readonly name: string } | undefined {
  const metadata = readMessage(readMessage(request, SANDBOX_CONFIG) ?? new Uint8Array(), 1)
  if (metadata === undefined) return undefined
  const [name, namespace] = [1, 3].map((field) => readString(metadata, field).slice(0, MAX_POD))
  return name ? { namespace: namespace ?? '', name } : undefined
}

export function withoutAuth(request: Uint8Array): Uint8Array {
  return without(request, AUTH)
}

export function withAuth(request: Uint8Array, auth: Partial<AuthConfig>): Uint8Array {
  const numbers: Record<keyof AuthConfig, number> = {
    username: 1,
    password: 2,
    auth: 3,
    serverAddress: 4,
    identityToken: 5,
    registryToken: 6,
  }
  let message: Uint8Array = new Uint8Array()
  for (const [key, value] of Object.entries(auth)) {
    message = withString(message, numbers[key as keyof AuthConfig], value)
  }
  return withBytes(request, AUTH, message)
}

/** `image_ref` of a PullImageResponse: the runtime's own ID of the image. */
export function pulledImage(response: Uint8Array): string {
  return readString(response, IMAGE_REF)
}

/**
 * The response with the runtime's own ID of the image, which CRI-O before 1.35 and cri-dockerd put a
 * name with a digest in the place of. The kubelet compares it with Image.id (CRI 0.36,
 * PullImageResponse), and asks for the container by it. The same object where it is right.
 */
export function withPulledImage(response: Buffer, imageId: string): Buffer {
  if (pulledImage(response) === imageId) return response
  return Buffer.from(withString(response, IMAGE_REF, imageId))
}

export function pullResponse(imageRef: string): Buffer {
  return Buffer.from(withString(new Uint8Array(), IMAGE_REF, imageRef))
}

/**
 * The pull request with the credentials of the registry that will be contacted, and no others: a
 * mirror gets its own or none, never the pod's; the origin gets the pod's exactly as they came.
 * `server_address` is a URL, because containerd sends credentials without one to any host.
 *
 * @param credentials what the resolver shows at that candidate
 */
export function authorize(
  request: Uint8Array,
  candidate: Candidate,
  callers: AuthConfig | undefined,
  credentials: Credentials | undefined,
): Uint8Array {
  if (candidate.origin && callers !== undefined) return request
  if (credentials === undefined) return withoutAuth(request)
  const serverAddress = endpointUrl(candidate.endpoint)
  switch (credentials.kind) {
    case 'basic': {
      const { username, password } = credentials
      return withAuth(request, { username, password, serverAddress })
    }
    case 'identityToken':
      return withAuth(request, { identityToken: credentials.token, serverAddress })
    case 'registryToken':
      return withAuth(request, { registryToken: credentials.token, serverAddress })
  }
}
