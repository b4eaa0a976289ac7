import type { CheckResponse } from '../../api/v1/check.ts'
import type { ImageRecord } from '../../api/v1/images.ts'
import type { PullLayers, PullsResponse } from '../../api/v1/pulls.ts'
import type { RegistryStatus } from '../../api/v1/registries.ts'
import type { StatsResponse } from '../../api/v1/stats.ts'
import type { Answer } from '../resolver/types.ts'

export interface AnswerOptions {
  /** `os/architecture[/variant]`; default: this machine's. */
  readonly platform?: string
  /** Ask the registries even though the cache has an answer. */
  readonly refresh?: boolean
  /** As in ResolveOptions, both of them. */
  readonly maxAgeMs?: number
  readonly direct?: boolean
  /** Ask every registry, also after one answered. */
  readonly all?: boolean
  /** Also ask the runtime whether it has the image. */
  readonly node?: boolean
  /** The caller has shown neither token nor access to a unix socket: see ResolveOptions. */
  readonly unauthenticated?: boolean
  /** Aborted when the caller leaves (AbortError) or its time is up (TimeoutError). */
  readonly signal: AbortSignal
}

/** The resolver as the HTTP API uses it. */
export interface Answers {
  /** `input` is what the caller wrote. Rejects with ResolveError, soon after `signal` aborts. */
  answer(input: string, options: AnswerOptions): Promise<Answer>
  /**
   * Reads a question once that will be asked again and again. Calling what it gives back gives what the
   * cache has while that is fresh, at once, and counts it like any other; undefined: ask `answer`, which
   * also says what is wrong with the question. Absent: nothing is known at once.
   */
  prepare?(
    input: string,
    platform: string | undefined,
    unauthenticated: boolean,
  ): (() => Answer | undefined) | undefined
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

export interface NamePage {
  readonly names: readonly string[]
  /** `last` for the next page; absent: these were all. */
  readonly last?: string
}

/** The configured registries. */
export interface RegistryAdmin {
  /** In the order of asking. */
  statuses(): readonly RegistryStatus[]
  /** @param name of one of `statuses()`; rejects with ResolveError, DENIED where there is no catalogue */
  repositories(name: string, options: PageOptions): Promise<NamePage>
  /** @param repository below the address of the registry */
  tags(name: string, repository: string, options: PageOptions): Promise<NamePage>
}

/** The images in use, and where they can be pulled from. */
export interface Check {
  report(): CheckResponse
}

/** What the service says of itself. */
export interface ServiceInfo {
  /** The effective configuration as YAML, without a secret. */
  config(): string | Promise<string>
  stats(): StatsResponse
  /** Prometheus' text format. */
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>
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
  readonly certFile: string
  readonly keyFile: string
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
