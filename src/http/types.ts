import type { ImageRecord, PullLayers, PullsResponse } from '../../api/v1/images.ts'
import type { Answers as AllAnswers, AnswerOptions } from '../resolver/answers.ts'
import type { Answer } from '../resolver/types.ts'

/** The resolver as the HTTP API uses it. Without `prepare` nothing is known at once. */
export interface Answers extends Partial<Pick<AllAnswers, 'prepare'>> {
  /** Rejects with ResolveError, soon after `signal` aborts. */
  answer(input: string, options: AnswerOptions & { readonly signal: AbortSignal }): Promise<Answer>
}

/**
 * The images of this node, as the CRI socket shows, pulls and removes them. All reject with ResolveError:
 * UNAVAILABLE without a runtime, and soon after `signal` aborts.
 */
export interface NodeImages {
  /** Rejects where there is no runtime; nothing is asked of it. */
  check(): Promise<void>
  list(signal: AbortSignal): Promise<readonly ImageRecord[]>
  /** @param image any of its names, or its ID; undefined: the runtime has no such image */
  status(image: string, signal: AbortSignal): Promise<ImageRecord | undefined>
  /** With all its names; also succeeds when there is no such image. */
  remove(image: string, signal: AbortSignal): Promise<void>
  /** As a kubelet without credentials does. @returns the runtime's own ID of the image */
  pull(reference: string, signal: AbortSignal): Promise<string>
  /** Those that run, of every client. Never rejects. */
  pulls(): Promise<PullsResponse>
  /** How far the newest pull of a reference is, as it was asked for. Never rejects. */
  layersOf(reference: string): Promise<PullLayers | undefined>
}

export interface PageOptions {
  /** At most so many names, 1 to 1000. */
  readonly n: number
  /** Those behind this one. */
  readonly last?: string
  readonly signal: AbortSignal
}

/** What a request needs to be served. */
export interface AccessOptions {
  /** `host:port` as it was configured: that host is a name of this service. */
  readonly listen?: string
  /** The bearer token itself, */
  readonly token?: string | undefined
  /** or the file that holds it, read again when it changes. */
  readonly tokenFile?: string | undefined
  /** Requests a minute and client; 0: no limit. */
  readonly rateLimit?: number
}

/** The certificate of this server and its key, as PEM files. */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** A server that the configuration asks for. */
export interface ListenerState {
  readonly door: string
  readonly open: boolean
  /** Why it is closed. */
  readonly reason?: string
}

export interface Readiness {
  check(): Promise<readonly ListenerState[]>
}
