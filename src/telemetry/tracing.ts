import type { Attributes, Context, Span, SpanStatusCode } from '@opentelemetry/api'

export type { Attributes, Span } from '@opentelemetry/api'

export interface SpanStart {
  /** `server`: it answers a request of another process. `client`: it is a request to one. Default: neither. */
  readonly kind?: 'server' | 'client'
  readonly attributes?: Attributes
  /** Default: the span in which it begins. */
  readonly parent?: Context | undefined
}

/** Headers by name, as `traceparent` (W3C Trace Context). */
type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** Spans of OpenTelemetry, as this program makes them. */
export interface Tracing {
  /** Of the code that calls this, for spans below it that begin elsewhere. */
  active(): Context
  /** Of the caller that sent these headers; a new trace where they name none. */
  incoming(headers: Headers): Context
  start(name: string, start?: SpanStart): Span
  /** Spans that begin in the work, and requests that it sends, are below this one. */
  within<T>(span: Span, work: () => T): T
  /** Adds to the span of the code that calls this. */
  annotate(attributes: Attributes): void
  /** For what is logged in the course of a span; empty beside any. */
  logFields(): { readonly traceId?: string; readonly spanId?: string }
  /** The headers of a request that is sent for the span; default: for the active one, if there is any. */
  outgoing(span?: Span): Readonly<Record<string, string>>
}

/** undefined: nothing is traced, and nothing of OpenTelemetry is loaded. */
export let tracing: Tracing | undefined

/** @param next undefined: nothing is traced from now on */
export function useTracing(next: Tracing | undefined): void {
  tracing = next
}

export interface TracingOptions {
  readonly version: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logger: Readonly<Record<'info' | 'warn', (fields: object, message: string) => void>>
}

/** Tracing.within, where there is a span. */
export function within<T>(span: Span | undefined, work: () => T): T {
  return span === undefined || tracing === undefined ? work() : tracing.within(span, work)
}

/** Does work as a span, which ends with it. The span is undefined where nothing is traced. */
export function traced<T>(
  name: string,
  start: SpanStart,
  work: (span?: Span) => Promise<T>,
): Promise<T> {
  if (tracing === undefined) return work()
  const span = tracing.start(name, start)
  return within(span, () => work(span)).then(
    (value) => {
      span.end()
      return value
    },
    (thrown: unknown) => {
      markThrown(span, thrown)
      span.end()
      throw thrown
    },
  )
}

const ERROR: SpanStatusCode.ERROR = 2
const MAX_MESSAGE_CHARACTERS = 500

/**
 * @param type one of few: a code, or the name of a class of errors
 * @param message for people, without secrets
 */
export function markFailed(span: Span, type: string, message?: string): void {
  span.setAttribute('error.type', type)
  span.setStatus({
    code: ERROR,
    ...(message !== undefined && { message: message.slice(0, MAX_MESSAGE_CHARACTERS) }),
  })
}

export function markThrown(span: Span, thrown: unknown): void {
  if (thrown instanceof Error) markFailed(span, typeOf(thrown), thrown.message)
  else markFailed(span, '_OTHER')
}

/** Our code or the system's, the name of a gRPC code, which stands before a runtime's text, or the error's class. */
function typeOf(error: Error): string {
  if ('code' in error && typeof error.code === 'string') return error.code
  return /^\d+ ([A-Z_]+):/.exec(error.message)?.[1] ?? error.name
}
