import type { FastifyRequest } from 'fastify'
import type { CheckResponse } from '../../api/v1/check.ts'
import type { ReadyResponse } from '../../api/v1/health.ts'
import type { Written } from '../../api/v1/schema.ts'
import type { HttpConfig } from '../config/config.ts'
import type { Answers as AllAnswers, AnswerOptions } from '../resolver/answers.ts'
import type { ChangedTag } from '../resolver/changed-tags.ts'
import type { Answer } from '../resolver/types.ts'
import type { NodeImages } from '../runtime/node-images.ts'
import type { Logger } from '../telemetry/log.ts'
import type { RunningPulls } from '../telemetry/running-pulls.ts'
import type { Failure } from './error-response.ts'
import type { Limits } from './limits.ts'
import type { RegistryLists } from './registry-admin.ts'
import type { ServiceReports } from './service-info.ts'

/** What the routes need of the rest of the program. */
export interface RoutesOptions {
  readonly answers: Answers
  readonly readiness: Readiness
  /** Each absent: a server without its routes. `node` rejects with ResolveError UNAVAILABLE without a runtime. */
  readonly node?: () => Promise<ImagesOfNode>
  readonly pulls?: Pick<RunningPulls, 'layersOf' | 'list'>
  readonly registries?: RegistryLists
  readonly service?: ServiceReports
  /** @returns how many answers were fresh until then */
  readonly onEvent?: (event: RegistryEvent) => Promise<number>
  /** What is known of the images in use, and of where they can be pulled from. */
  readonly check?: () => CheckResponse
  readonly admission?: AdmissionOptions
  /** This service in `Via`. Default: it has no name, and notices no question of its own. */
  readonly via?: string
  /** Total limit of one question. Default: 30 seconds. */
  readonly timeoutMs?: number
  /** Total limit of one `POST /resolve`. Default: 5 minutes. */
  readonly manyTimeoutMs?: number
}

/** The same with the defaults, and what the server has beside it. */
export interface RouteContext extends RoutesOptions {
  readonly via: string
  readonly timeoutMs: number
  readonly manyTimeoutMs: number
  readonly now: () => number
  readonly limits: Limits
  /** As Guard.isUnauthenticated. */
  readonly isUnauthenticated: (request: FastifyRequest) => boolean
  /** As Guard.isAuthentic. */
  readonly isAuthentic: (request: FastifyRequest, body: string) => boolean
  /** Gets a fault of the service itself that an answer with status 200 tells. */
  readonly onUnexpected: (failure: Failure) => void
  readonly logger: Pick<Logger, 'warn'>
}

export interface AdmissionOptions {
  /** For all images of a pod together. */
  readonly budgetMs: number
  /** Whether a pod is rejected with an image that is not known in time. */
  readonly rejects: boolean
}

/** What a registry notifies of. */
export interface RegistryEvent {
  /** Of the notification. */
  readonly format: 'cloudevents' | 'distribution' | 'github' | 'harbor' | 'quay'
  /** Empty for an event after which no tag leads elsewhere: a pull, a scan, a layer. */
  readonly changes: readonly ChangedTag[]
}

/** As the CRI socket shows, pulls and removes them. */
export type ImagesOfNode = Pick<NodeImages, 'list' | 'status' | 'remove' | 'pull'>

/** The resolver as the HTTP API uses it. Without `prepare` nothing is known at once. */
export interface Answers extends Partial<Pick<AllAnswers, 'prepare'>> {
  /** Rejects with ResolveError, soon after `signal` aborts. */
  answer(input: string, options: AnswerOptions & { readonly signal: AbortSignal }): Promise<Answer>
}

/** What a request needs to be served. `listen`: that host is a name of this service. */
export type AccessOptions = Partial<
  Pick<HttpConfig, 'listen' | 'token' | 'tokenFile' | 'rateLimit'>
>

/** The certificate of this server and its key, as PEM files. */
export type TlsFiles = NonNullable<HttpConfig['tls']>

/** A server that the configuration asks for. */
export type ListenerState = Written<ReadyResponse>['doors'][number]

export interface Readiness {
  check(): Promise<readonly ListenerState[]>
}
