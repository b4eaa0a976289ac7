import { LRUCache } from 'lru-cache'
import type { Clock } from '../concurrency/clock.ts'
import type { ImageRequest } from '../registry/image.ts'
import type { ResolutionObserver } from '../resolver/types.ts'
import type { Metrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'

/** Counts resolutions as they end, and logs where registries differ. */
export function meterResolutions(
  metrics: Metrics,
  logger: Pick<Logger, 'warn'>,
): ResolutionObserver {
  return {
    resolved(source, ms, failover) {
      metrics.resolutions[source].record(ms)
      if (failover) metrics.failovers += 1
    },
    failed(code, ms) {
      metrics.resolutions.failed.record(ms)
      metrics.failures.add(code)
    },
    diverged({ reference, chosen, other }) {
      metrics.divergences += 1
      logger.warn({ reference, chosen, other }, 'registries name different digests by one tag')
    },
  }
}

const MAX_REGISTRIES = 1_000
/** Of one registry: texts with a time of day in them have no end. */
const MAX_WARNINGS = 10

/**
 * Counts the requests that a question to a registry takes, and with `debug: true` logs each. What a
 * configured registry warns of is logged once, ten texts of one registry at most.
 */
export function meterRequests(
  metrics: Metrics,
  logger: Pick<Logger, 'debug' | 'warn'>,
): <T extends ImageRequest>(request: T) => T {
  const warned = new LRUCache<string, Set<string>>({ max: MAX_REGISTRIES })
  const warn = (registry: string, warning: string): void => {
    const texts = warned.get(registry) ?? new Set()
    if (texts.has(warning) || texts.size === MAX_WARNINGS) return
    warned.set(registry, texts.add(warning))
    logger.warn({ registry, warning }, 'a registry has a warning')
  }
  return (request) => {
    const { configured, endpoint } = request
    // Hosts that are not configured are chosen by strangers; there is no end of them.
    const registry = configured ? endpoint.host : 'unconfigured'
    return {
      ...request,
      observe(exchange) {
        const { warning } = exchange
        metrics.exchanges.add(registry, exchange.method, String(exchange.status ?? 'none'))
        logger.debug(exchange, 'asked a registry')
        if (configured && warning !== undefined) warn(registry, warning)
        request.observe?.(exchange)
      },
    }
  }
}

interface StatsLogOptions {
  readonly metrics: Pick<Metrics, 'resolutions'>
  readonly clock: Clock
  /** Between two lines, in milliseconds; 0: none is written. */
  readonly intervalMs: number
  readonly logger: Pick<Logger, 'info'>
}

/** Logs what was resolved since the start, when something was since the last line. */
export class StatsLog {
  readonly #options: StatsLogOptions
  #cancel = (): void => {}
  #last: string

  constructor(options: StatsLogOptions) {
    this.#options = options
    this.#last = JSON.stringify(this.#counts())
  }

  start(): void {
    const { clock, intervalMs } = this.#options
    if (intervalMs === 0) return
    this.#cancel = clock.after(intervalMs, () => {
      this.start()
      this.#write()
    })
  }

  close(): void {
    this.#cancel()
  }

  #write(): void {
    const counts = this.#counts()
    const now = JSON.stringify(counts)
    if (now === this.#last) return
    this.#last = now
    this.#options.logger.info(counts, 'resolutions since the start, by source')
  }

  #counts(): Readonly<Record<string, number>> {
    const { resolutions } = this.#options.metrics
    return Object.fromEntries(
      Object.entries(resolutions).map(([source, { count }]) => [source, count]),
    )
  }
}
