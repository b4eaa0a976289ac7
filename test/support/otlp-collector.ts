import type { IncomingHttpHeaders } from 'node:http'
import { openTracing } from '../../src/telemetry/open-tracing.ts'
import { tracing } from '../../src/telemetry/tracing.ts'
import { startServer, type TestServer } from './http-server.ts'
import type { Cleanup } from './stack.ts'

/** A span as OTLP/JSON has it, its attributes and those of its resource by name. */
export interface CollectedSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly resource: Readonly<Record<string, unknown>>
  /** 2: it failed. */
  readonly status: { readonly code?: number; readonly message?: string }
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
}

interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Collector {
  readonly server: TestServer
  readonly requests: readonly Received[]
  /** For the program that is traced, which exports at once. */
  readonly env: Readonly<Record<string, string>>
  /** Answers with this status from now on; undefined: not at all. */
  answer(status: number | undefined): void
  /** All that was collected so far. Only of JSON. */
  spans(): readonly CollectedSpan[]
  /** Resolves when so many requests were not answered with 200. */
  refused(count: number): Promise<void>
  /** Resolves with what is found in the spans once it is there. */
  find<T>(look: (spans: readonly CollectedSpan[]) => T | undefined): Promise<T>
}

/** An OTLP receiver, as a collector is one. */
export async function startCollector(t: Cleanup): Promise<Collector> {
  const requests: Received[] = []
  const lookers = new Set<() => void>()
  let status: number | undefined = 200
  let refusals = 0
  const server = await startServer(t, async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { url: path = '', headers } = request
    if (status === 200) requests.push({ path, headers, body: Buffer.concat(chunks) })
    else refusals += 1
    for (const look of lookers) look()
    if (status !== undefined) response.writeHead(status).end()
  })
  const until = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const lookAgain = (): void => {
        const found = look()
        if (found === undefined) return
        lookers.delete(lookAgain)
        resolve(found)
      }
      lookers.add(lookAgain)
      lookAgain()
    })
  const spans = (): readonly CollectedSpan[] =>
    requests.flatMap(({ body }) => spansIn(JSON.parse(body.toString())))
  return {
    server,
    requests,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: server.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '1',
    },
    answer: (next) => {
      status = next
    },
    spans,
    refused: async (count) => void (await until(() => refusals >= count || undefined)),
    find: (look) => until(() => look(spans())),
  }
}

/** Traces what this process does in the test. OpenTelemetry's packages read its environment. */
export async function startTracing(t: Cleanup, more: Readonly<Record<string, string>> = {}) {
  let close = async (): Promise<unknown> => undefined
  // Before the collector ends.
  t.after(() => close())
  const collector = await startCollector(t)
  const env = { ...collector.env, ...more }
  t.after(() => {
    for (const name of Object.keys(env)) delete process.env[name]
  })
  Object.assign(process.env, env)
  const lines: [message: string, fields: object][] = []
  const waiting = new Set<() => void>()
  const log = (fields: object, message: string): void => {
    lines.push([message, { ...fields, ...tracing?.logFields() }])
    for (const look of waiting) look()
  }
  close = await openTracing({ version: '1.2.3', env, logger: { info: log, warn: log } })
  const until = (message: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (lines.some(([each]) => each === message)) resolve()
      }
      waiting.add(look)
      look()
    })
  return { collector, logged: { lines, until } }
}

// biome-ignore lint/suspicious/noExplicitAny: what is decoded here is checked by the tests
function spansIn({ resourceSpans }: any): CollectedSpan[] {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
    // biome-ignore lint/suspicious/noExplicitAny: as above
    scopeSpans.flatMap(({ spans }: any) =>
      // biome-ignore lint/suspicious/noExplicitAny: as above
      spans.map((span: any) => ({
        ...span,
        attributes: byName(span.attributes),
        resource: byName(resource.attributes),
        links: span.links ?? [],
      })),
    ),
  )
}

// biome-ignore lint/suspicious/noExplicitAny: as above
function byName(attributes: any): Record<string, unknown> {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return Object.fromEntries(attributes.map(({ key, value }: any) => [key, plain(value)]))
}

// biome-ignore lint/suspicious/noExplicitAny: as above
function plain(value: any): unknown {
  const { arrayValue, intValue, stringValue, boolValue } = value
  if (arrayValue !== undefined) return arrayValue.values.map(plain)
  return stringValue ?? boolValue ?? Number(intValue)
}

/** The names from a span up to the root of its trace. */
export function pathOf(span: CollectedSpan, spans: readonly CollectedSpan[]): readonly string[] {
  const parent = spans.find(({ spanId }) => spanId === span.parentSpanId)
  return [span.name, ...(parent === undefined ? [] : pathOf(parent, spans))]
}
