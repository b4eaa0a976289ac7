import type { Exchange } from '../../api/v1/candidate.ts'
import { type Clock, repeat } from '../concurrency/clock.ts'
import { countsOf, type Metrics, type ResolutionSource } from './counters.ts'
import type { Logger } from './log.ts'

interface Divergence {
  readonly reference: string
  readonly chosen: object
  readonly other: object
}

/** Counts resolutions as they end, and logs where registries differ. */
export function meterResolutions(metrics: Metrics, logger: Pick<Logger, 'warn'>) {
  return {
    resolved(source: Exclude<ResolutionSource, 'failed'>, ms: number, failover: boolean): void {
      metrics.resolutions[source].record(ms)
      if (failover) metrics.failovers += 1
    },
    failed(code: string, ms: number): void {
      metrics.resolutions.failed.record(ms)
      metrics.failures.add(code)
    },
    diverged({ reference, chosen, other }: Divergence): void {
      metrics.divergences += 1
      logger.warn({ reference, chosen, other }, 'registries name different digests by one tag')
    },
  }
}

/** Of one registry: texts with a time of day in them have no end. */
const MAX_WARNINGS = 10

/**
 * Counts requests to registries, and with `debug: true` logs each. Warnings of configured registries are
 * logged once, at most ten of one registry.
 *
 * @returns to be called with each request, and the host of the registry where that is configured
 */
export function meterExchanges(
  metrics: Pick<Metrics, 'exchanges'>,
  logger: Pick<Logger, 'debug' | 'warn'>,
): (exchange: Exchange, configured: string | undefined) => void {
  // By host; only the configuration adds to them.
  const warned = new Map<string, Set<string>>()
  return (exchange, configured) => {
    const { method, status = 'none', warning } = exchange
    // Callers choose the hosts that are not configured: there is no end of them.
    metrics.exchanges.add(configured ?? 'unconfigured', method, String(status))
    logger.debug(exchange, 'asked a registry')
    if (configured === undefined || warning === undefined) return
    const texts = warned.get(configured) ?? new Set()
    if (texts.has(warning) || texts.size === MAX_WARNINGS) return
    warned.set(configured, texts.add(warning))
    logger.warn({ registry: configured, warning }, 'a registry has a warning')
  }
}

interface StatsLogOptions {
  readonly metrics: Pick<Metrics, 'resolutions'>
  readonly clock: Clock
  /** Between two lines, in milliseconds; 0: none is written. */
  readonly intervalMs: number
  readonly logger: Pick<Logger, 'info'>
}

/**
 * Logs what was resolved since the start, when something was since the last line.
 *
 * @returns what ends that
 */
export function logStats({ metrics, clock, intervalMs, logger }: StatsLogOptions): () => void {
  let last = JSON.stringify(countsOf(metrics.resolutions))
  if (intervalMs === 0) return () => {}
  return repeat(intervalMs, clock, () => {
    const counts = countsOf(metrics.resolutions)
    const now = JSON.stringify(counts)
    if (now === last) return
    last = now
    logger.info(counts, 'resolutions since the start, by source')
  })
}
