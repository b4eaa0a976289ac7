import { AsyncLocalStorage } from 'node:async_hooks'
import { hostname } from 'node:os'
import {
  type Context,
  DiagLogLevel,
  defaultTextMapGetter,
  defaultTextMapSetter,
  diag,
  ROOT_CONTEXT,
  SpanKind,
  trace,
} from '@opentelemetry/api'
import {
  type ExportResult,
  ExportResultCode,
  parseKeyPairsIntoRecord,
  W3CTraceContextPropagator,
} from '@opentelemetry/core'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'
import { atMost, systemClock } from '../concurrency/clock.ts'
import type { Tracing, TracingOptions } from './tracing.ts'

/** How long the end of the service waits for spans that are not exported yet. */
const FLUSH_MS = 2_000
/** Where the environment names no limit: names of images and texts of errors are shorter. */
const VALUE_CHARACTERS = 1_024

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT }

/**
 * Exports spans over OTLP. Endpoint, headers, timeouts, certificates, sampler, limits and the queue (2,048 spans; more are
 * dropped) are what OpenTelemetry's packages read from the environment (opentelemetry.io, "Environment Variable
 * Specification").
 *
 * @returns `close` exports what is left, within two seconds; false: not all of it, and a connection may be open
 * still
 * @throws Error for a protocol or an endpoint that cannot be used
 */
export function startTracing({ version, env, logger }: TracingOptions): Tracing & {
  close(): Promise<boolean>
} {
  const started = tellWarnings(env, logger)
  const resource = defaultResource()
    .merge(
      resourceFromAttributes({
        'service.name': 'image-resolver',
        'service.version': version,
        'host.name': hostname(),
      }),
    )
    .merge(detectResources({ detectors: [envDetector] }))
  const storage = new AsyncLocalStorage<Context>()
  const provider = new BasicTracerProvider({
    resource,
    spanLimits: {
      attributeValueLengthLimit:
        Number(env['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT']) || VALUE_CHARACTERS,
    },
    spanProcessors: [new BatchSpanProcessor(told(exporterFor(env), logger, storage))],
  })
  const tracer = provider.getTracer('image-resolver', version)
  const propagator = new W3CTraceContextPropagator()
  started()
  const active = (): Context => storage.getStore() ?? ROOT_CONTEXT
  return {
    active,
    incoming: (headers) => propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter),
    start: (name, { kind, attributes = {}, parent = active() } = {}) =>
      tracer.startSpan(name, { ...(kind && { kind: KINDS[kind] }), attributes }, parent),
    within: (span, work) => storage.run(trace.setSpan(active(), span), work),
    annotate: (attributes) => void trace.getSpan(active())?.setAttributes(attributes),
    logFields() {
      const { traceId, spanId } = trace.getSpanContext(active()) ?? {}
      return traceId === undefined || spanId === undefined ? {} : { traceId, spanId }
    },
    outgoing(span) {
      const headers: Record<string, string> = {}
      const sent = span === undefined ? active() : trace.setSpan(ROOT_CONTEXT, span)
      propagator.inject(sent, headers, defaultTextMapSetter)
      return headers
    },
    async close() {
      diag.disable()
      const ended = provider.shutdown().then(
        () => true,
        () => false,
      )
      return (await atMost(FLUSH_MS, systemClock, ended)) ?? false
    },
  }
}

/** What OpenTelemetry's packages say of a file, and the variable that names it. */
const FILES: Readonly<Record<string, string>> = {
  'Failed to read root certificate file': 'CERTIFICATE',
  'Failed to read client certificate chain file': 'CLIENT_CERTIFICATE',
  'Failed to read client certificate private key file': 'CLIENT_KEY',
}
const MAX_WARNINGS = 32

/**
 * Logs once each what of the environment is not used, and what the collector takes in part alone.
 *
 * @returns to be called when all of the environment was read
 */
function tellWarnings(env: TracingOptions['env'], logger: TracingOptions['logger']) {
  const said = new Set<string>()
  let isStarting = true
  const tell = (reason: string, ...more: readonly unknown[]): void => {
    if (said.has(reason) || said.size >= MAX_WARNINGS) return
    said.add(reason)
    logger.warn({ reason: [reason, ...more].join(' ') }, 'tracing is not as it was set')
  }
  const warn = (message: string, ...more: readonly unknown[]): void => {
    const option = FILES[message]
    if (option === undefined) {
      tell(message, ...more)
      return
    }
    const name = [`OTEL_EXPORTER_OTLP_TRACES_${option}`, `OTEL_EXPORTER_OTLP_${option}`].find(
      (each) => env[each]?.trim(),
    )
    tell(`${name}: ${env[name ?? '']} cannot be read, and is not used`)
  }
  const nothing = (): void => {}
  const error = (message: string): void => {
    // Later it is of an export that failed, which is told once.
    if (isStarting) warn(message)
  }
  const debug = (message: string): void => {
    if (isStarting && message.startsWith('EnvDetector failed'))
      tell('OTEL_RESOURCE_ATTRIBUTES is not a list of name=value, and is not used')
  }
  diag.setLogger(
    { error, warn, info: nothing, debug, verbose: nothing },
    { logLevel: DiagLogLevel.DEBUG, suppressOverrideMessage: true },
  )
  for (const name of ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']) {
    // They may be secret, and are dropped without a word.
    for (const [index, entry] of (env[name] ?? '').split(',').entries()) {
      const isUsed = Object.keys(parseKeyPairsIntoRecord(entry)).length > 0
      if (entry.trim() !== '' && !isUsed)
        tell(`${name}: entry ${index + 1} is not name=value, and is not used`)
    }
  }
  return (): void => {
    isStarting = false
  }
}

function exporterFor(env: TracingOptions['env']): SpanExporter {
  const name = 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'
  const protocol = env[name] || env['OTEL_EXPORTER_OTLP_PROTOCOL'] || 'http/protobuf'
  if (protocol === 'http/protobuf') return new ProtobufExporter()
  if (protocol === 'http/json') return new JsonExporter()
  throw new Error(`OTLP by ${protocol} is not supported: set http/protobuf or http/json, port 4318`)
}

/** Says once that spans are lost, and once that they are exported again. */
function told(
  exporter: SpanExporter,
  logger: TracingOptions['logger'],
  storage: AsyncLocalStorage<Context>,
): SpanExporter {
  let isFailing = false
  function tell({ code, error }: ExportResult): void {
    const failed = code === ExportResultCode.FAILED
    if (failed && !isFailing) {
      const next = 'they are dropped until the collector takes them'
      logger.warn({ reason: error?.message, next }, 'spans cannot be exported')
    } else if (!failed && isFailing) {
      logger.info({}, 'spans are exported again')
    }
    isFailing = failed
  }
  return {
    export: (spans, done) =>
      // The timer of a batch is of the span that began it, which is one of many.
      storage.exit(() =>
        exporter.export(spans, (result) => {
          tell(result)
          done(result)
        }),
      ),
    shutdown: () => exporter.shutdown(),
  }
}
