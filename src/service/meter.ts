import type { ImageRequest } from '../registry/image.ts'
import type { ResolutionObserver } from '../resolver/types.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Meters } from '../telemetry/meters.ts'

/** Counts resolutions as they end, and logs where registries differ. */
export function meterResolutions(meters: Meters, logger: Pick<Logger, 'warn'>): ResolutionObserver {
  return {
    resolved(source, ms, failover) {
      meters.resolutions[source].record(ms)
      if (failover) meters.failovers += 1
    },
    failed(code, ms) {
      meters.resolutions.failed.record(ms)
      meters.failures.add(code)
    },
    diverged({ reference, chosen, other }) {
      meters.divergences += 1
      logger.warn({ reference, chosen, other }, 'registries name different digests by one tag')
    },
  }
}

/** Counts the requests that a question to a registry takes, and with `debug: true` logs each. */
export function metered<T extends ImageRequest>(
  request: T,
  meters: Meters,
  logger: Pick<Logger, 'debug'>,
): T {
  // Hosts that are not configured are chosen by strangers; there is no end of them.
  const registry = request.configured ? request.endpoint.host : 'unconfigured'
  return {
    ...request,
    observe(exchange) {
      meters.exchanges.add(registry, exchange.method, String(exchange.status ?? 'none'))
      logger.debug(exchange, 'asked a registry')
      request.observe?.(exchange)
    },
  }
}
