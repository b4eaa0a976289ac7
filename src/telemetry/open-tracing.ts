import { type TracingOptions, useTracing } from './tracing.ts'

/** Of 0, or less, OpenTelemetry's queue drops all spans, or exports none of them for ever and never ends. */
const COUNTS = ['OTEL_BSP_MAX_QUEUE_SIZE', 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE']

/**
 * Traces from now on where the environment names an OTLP endpoint. What cannot be used there is logged, and nothing is
 * traced: never a reason not to serve.
 *
 * @returns ends tracing, and exports what is left within two seconds; false: not all of it, and a connection may
 * be open still
 */
export async function openTracing(options: TracingOptions): Promise<() => Promise<boolean>> {
  const { env, logger } = options
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT']
  const exporter = env['OTEL_TRACES_EXPORTER'] || 'otlp'
  const isDisabled = env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || exporter === 'none'
  if (!endpoint || isDisabled) return async () => true
  try {
    if (exporter !== 'otlp')
      throw new Error(`OTEL_TRACES_EXPORTER is ${exporter}: set otlp or none`)
    for (const name of COUNTS) {
      if (!/^(?:[1-9]\d*)?$/.test(env[name]?.trim() ?? ''))
        throw new Error(`${name} is ${env[name]}: set a whole number above 0`)
    }
    const { origin, pathname, protocol } = new URL(endpoint)
    if (!/^https?:$/.test(protocol)) throw new Error('the endpoint for OTLP is no http URL')
    const { startTracing } = await import('./otlp.ts')
    const started = startTracing(options)
    useTracing(started)
    logger.info({ endpoint: `${origin}${pathname}` }, 'spans are exported')
    return () => {
      useTracing(undefined)
      return started.close()
    }
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    logger.warn({ reason }, 'nothing is traced')
    return async () => true
  }
}
