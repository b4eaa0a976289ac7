import type { Answer } from '../resolver/answer.ts'

export interface AnswerOptions {
  /** `os/architecture[/variant]`; default: this machine's. */
  readonly platform?: string
  /** Ask the registries even though the cache has an answer. */
  readonly refresh?: boolean
  /** Also ask the runtime whether it has the image. */
  readonly node?: boolean
  /** Aborted when the caller leaves (AbortError) or its time is up (TimeoutError). */
  readonly signal: AbortSignal
}

/** The resolver as this door sees it. */
export interface Answers {
  /** `input` is what the caller wrote. Rejects with ResolveError, soon after `signal` aborts. */
  answer(input: string, options: AnswerOptions): Promise<Answer>
}

/** One way in that the configuration asks for. */
export interface DoorState {
  readonly door: string
  readonly open: boolean
  /** Why it is closed. */
  readonly reason?: string
}

export interface Readiness {
  check(): Promise<readonly DoorState[]>
}
