import type { CacheResponse } from '../../api/v1/cache.ts'
import type { StatsHistoryResponse, StatsResponse } from '../../api/v1/stats.ts'
import { COMMIT, VERSION } from '../../api/version.ts'
import type { Config } from '../config/config.ts'
import type { HealthReport } from '../registry/health.ts'
import type { CacheContent, CacheCounts } from '../resolver/types.ts'
import { countsOf, type Metrics, type ResolutionSource } from '../telemetry/counters.ts'
import type { StatsHistory } from '../telemetry/history.ts'

interface ServiceInfoOptions {
  readonly config: () => Config
  readonly cache: { counts(): CacheCounts; content(): Pick<CacheContent, 'where'> }
  readonly health: { report(registry: string): HealthReport }
  readonly metrics: Metrics
  readonly history: Pick<StatsHistory, 'report'>
  /** How many images in use are in which state; undefined: not known. */
  readonly imagesInUse: () => Readonly<Record<string, number>> | undefined
  /** Milliseconds since the start. */
  readonly uptimeMs: () => number
}

interface Page {
  readonly contentType: string
  text(): Promise<string>
}

const SOURCES: readonly ResolutionSource[] = ['cache', 'shared', 'registry', 'stale', 'failed']

/** What routes use of it. */
export type ServiceReports = Pick<
  ServiceInfo,
  'cached' | 'config' | 'history' | 'metrics' | 'stats'
>

/** What the service says of itself. What is only for its readers is loaded when there is one. */
export class ServiceInfo {
  readonly #options: ServiceInfoOptions
  #page: Promise<Page> | undefined

  constructor(options: ServiceInfoOptions) {
    this.#options = options
  }

  /** The effective configuration as YAML, without a secret. */
  async config(): Promise<string> {
    const { printConfig } = await import('../config/print.ts')
    return printConfig(this.#options.config())
  }

  stats(): StatsResponse {
    const { cache, config, metrics, uptimeMs } = this.#options
    const { resolutions } = metrics
    return {
      uptimeSeconds: Math.round(uptimeMs() / 1_000),
      resolutions: countsOf(resolutions),
      cache: toCache(cache.counts(), resolutions.shared.count),
      ...(config().cache.shared !== undefined && { shared: toShared(metrics.shared) }),
      latencies: SOURCES.map((source) => ({
        source,
        count: resolutions[source].count,
        p50Ms: resolutions[source].quantileMs(0.5) ?? null,
        p99Ms: resolutions[source].quantileMs(0.99) ?? null,
      })),
      pulls: { ...metrics.pulls },
      configuration: {
        ...metrics.configuration,
        loadedAt: new Date(metrics.configuration.loadedAt).toISOString(),
      },
    }
  }

  cached(n: number): CacheResponse {
    const { cache } = this.#options
    const answers: CacheResponse['answers'] = []
    for (const [
      ,
      { digest, expiresAt, platform, reference, registry, resolvedAt },
    ] of cache.content().where) {
      if (answers.length === n) break
      answers.push({
        reference,
        platform,
        digest,
        registry,
        resolvedAt: new Date(resolvedAt).toISOString(),
        expiresAt: expiresAt === undefined ? null : new Date(expiresAt).toISOString(),
      })
    }
    return { total: cache.counts().entries.where, answers }
  }

  history(): StatsHistoryResponse {
    return this.#options.history.report()
  }

  /** Prometheus' text format. */
  async metrics(): Promise<{ readonly contentType: string; readonly text: string }> {
    this.#page ??= this.#openPage()
    const page = await this.#page
    return { contentType: page.contentType, text: await page.text() }
  }

  async #openPage(): Promise<Page> {
    const { MetricsPage } = await import('../telemetry/metrics.ts')
    const { cache, config, health, imagesInUse, metrics } = this.#options
    return new MetricsPage({
      build: { version: VERSION, commit: COMMIT },
      metrics,
      cacheEvents: () => {
        const { entries: _, ...events } = cache.counts()
        return events
      },
      cacheEntries: () => cache.counts().entries,
      imagesInUse,
      // Configured ones alone: clients choose the origins.
      registries: () =>
        config().registries.map(({ name }) => {
          const { rateLimit, state } = health.report(name)
          return { registry: name, state, remaining: rateLimit?.remaining }
        }),
    })
  }
}

function toShared(shared: Metrics['shared']): NonNullable<StatsResponse['shared']> {
  return {
    leftAlone: shared.unused === 1,
    lookups: { ...shared.lookups },
    claims: { ...shared.claims },
    signatureFailures: shared.signatureFailures,
    commandP99Ms: shared.commands.quantileMs(0.99) ?? null,
  }
}

/** A question that no other node answered is one hit, miss, shared resolution, stale or negative answer; revalidating asked a registry. */
function toCache({ entries, ...counts }: CacheCounts, shared: number): StatsResponse['cache'] {
  const { hit, miss, coalesced, stale, negative, revalidated, evicted } = counts
  const spared = hit + coalesced + negative + shared
  const asked = spared + miss + revalidated + stale
  return {
    hitRate: asked === 0 ? null : spared / asked,
    hits: hit,
    misses: miss,
    coalesced,
    stale,
    negative,
    revalidated,
    evicted,
    entries: entries.where,
  }
}
