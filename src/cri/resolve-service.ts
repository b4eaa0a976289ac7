import type { Attempt } from '../errors.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { Answer } from '../resolver/types.ts'
import type { AuthConfig } from './image-messages.ts'
import type { Caller } from './owned-call.ts'

/** The resolver as this service sees it. */
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

/** imageresolver.v1.ResolveImageRequest. */
export interface ResolveImageRequest {
  readonly reference: string
  readonly platform: string
  readonly auth: AuthConfig | null
  readonly refresh: boolean
  readonly explain: boolean
}

export interface ResolveServiceOptions {
  readonly answers: Answers
  readonly credentialsFor: (auth: AuthConfig | undefined, domain: string) => Credentials | undefined
}

/** ResolveImage of kubernetes/kubernetes#46255; see protos/imageresolver/v1. */
export class ResolveService {
  readonly #options: ResolveServiceOptions

  constructor(options: ResolveServiceOptions) {
    this.#options = options
  }

  /** @throws ResolveError as Answers.answer */
  async resolve(request: ResolveImageRequest, caller: Caller): Promise<object> {
    const { reference, platform, auth, refresh, explain } = request
    const answer = await this.#options.answers.answer(reference, {
      ...(platform === '' ? {} : { platform }),
      ...(auth === null
        ? {}
        : { credentials: (domain: string) => this.#options.credentialsFor(auth, domain) }),
      refresh,
      node: true,
      urgent: true,
      signal: caller.signal,
    })
    return toMessage(answer, explain)
  }
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
