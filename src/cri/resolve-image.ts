import type { Attempt } from '../errors.ts'
import { type Credentials, fromAuthConfig } from '../registry/credentials.ts'
import type { Answer } from '../resolver/types.ts'
import { loadService } from '../runtime/protos.ts'
import { status } from '../runtime/status.ts'
import { GrpcError } from './grpc.ts'
import type { AuthConfig } from './image-messages.ts'
import type { OwnedMethod } from './owned-call.ts'

/**
 * A reference has at most 4 KiB, a token some 10. Decoding has no bound for the number of fields: 4 MiB
 * of the smallest would block the event loop for some 100 ms.
 */
const REQUEST_BYTES = 64 * 1024
const SERVICE = 'imageresolver.v1.ImageResolver'

/** The resolver, as far as ResolveImage uses it. */
export interface Answers {
  answer(
    input: string,
    options: {
      readonly platform?: string
      readonly refresh?: boolean
      readonly node?: boolean
      readonly urgent?: boolean
      readonly credentials?: (domain: string) => Credentials | undefined
      readonly signal?: AbortSignal
    },
  ): Promise<Answer>
}

/** imageresolver.v1.ResolveImageRequest */
interface ResolveImageRequest {
  readonly reference: string
  readonly platform: string
  readonly auth: AuthConfig | null
  readonly refresh: boolean
  readonly explain: boolean
}

/**
 * ResolveImage of kubernetes/kubernetes#46255; see protos/imageresolver/v1.
 *
 * @returns its path, and what answers it
 */
export function resolveImage(answers: Answers, limitMs: number): readonly [string, OwnedMethod] {
  const decode = (request: Buffer): ResolveImageRequest => {
    try {
      return method().requestDeserialize(request) as ResolveImageRequest
    } catch (cause) {
      throw new GrpcError(
        { code: status.INTERNAL, details: 'Error deserializing request' },
        { cause },
      )
    }
  }
  const answer: OwnedMethod['answer'] = async (request, { signal }) => {
    const { reference, platform, auth, refresh, explain } = decode(request)
    const found = await answers.answer(reference, {
      ...(platform !== '' && { platform }),
      ...(auth !== null && { credentials: (domain: string) => fromAuthConfig(auth, domain) }),
      refresh,
      node: true,
      urgent: true,
      signal,
    })
    return method().responseSerialize(toMessage(found, explain))
  }
  return [`/${SERVICE}/ResolveImage`, { answer, limitMs, maxRequestBytes: REQUEST_BYTES }]
}

/** Its proto is read by the first call. */
function method() {
  const { ResolveImage } = loadService('imageresolver/v1/imageresolver.proto', SERVICE)
  if (ResolveImage === undefined) throw new Error('the service has no ResolveImage')
  return ResolveImage
}

function toMessage(answer: Answer, explain: boolean): object {
  return {
    imageId: answer.imageId,
    references: answer.references,
    digest: answer.digest ?? '',
    manifestDigest: answer.manifestDigest ?? '',
    mediaType: answer.mediaType ?? '',
    platform: answer.platform,
    reference: answer.reference,
    registry: answer.registry,
    source: answer.source,
    resolvedAt: toTimestamp(answer.resolvedAt),
    ...(answer.expiresAt === undefined ? {} : { expiresAt: toTimestamp(answer.expiresAt) }),
    ...(answer.node === undefined ? {} : { node: answer.node }),
    attempts: explain ? answer.attempts.map(toAttempt) : [],
  }
}

function toAttempt(attempt: Attempt): object {
  return { ...attempt, status: attempt.status ?? 0, message: attempt.message ?? '' }
}

function toTimestamp(ms: number): { readonly seconds: number; readonly nanos: number } {
  const seconds = Math.floor(ms / 1000)
  return { seconds, nanos: (ms - seconds * 1000) * 1_000_000 }
}
