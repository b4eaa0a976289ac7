import { WINDOW_MS } from './plot.js'

/** A hit rate of fewer seconds would jump with every question. */
const RATE_MS = 60_000

/** What the service said over the last minutes. Nothing of it outlives the page. */
export class History {
  constructor() {
    /** @type {{ at: number, stats: StatsResponse }[]} */
    this.samples = []
    /** @type {Map<string, Moment[]>} by name of registry */
    this.latencies = new Map()
  }

  /**
   * @param {number} at
   * @param {StatsResponse} stats
   * @param {readonly RegistryStatus[]} registries
   */
  add(at, stats, registries) {
    const before = this.samples.at(-1)
    // The service was started anew, and counts from nothing.
    if (before !== undefined && stats.uptimeSeconds < before.stats.uptimeSeconds) this.samples = []
    this.samples = [...this.samples, { at, stats }].filter((each) => at - each.at <= WINDOW_MS)
    this.latencies = new Map(
      registries.map(({ name, latencyMs }) => {
        const moments = [...(this.latencies.get(name) ?? []), { at, values: [latencyMs] }]
        return [name, moments.filter((each) => at - each.at <= WINDOW_MS)]
      }),
    )
  }

  /** @returns {Moment[]} the share of the last minute's questions that the cache answered */
  hitRates() {
    return this.samples.map(({ at, stats }) => {
      const first = this.samples.find((each) => at - each.at <= RATE_MS)?.stats ?? stats
      const asked = total(stats) - total(first)
      const hits = stats.resolutions.cache - first.resolutions.cache
      return { at, values: [asked > 0 ? hits / asked : null] }
    })
  }

  /** @returns {Moment[]} the 50th and the 99th percentile of what registries were asked */
  resolving() {
    return this.samples.map(({ at, stats }) => {
      const registry = stats.latencies.find(({ source }) => source === 'registry')
      return { at, values: [registry?.p50Ms ?? null, registry?.p99Ms ?? null] }
    })
  }
}

/** @param {StatsResponse} stats */
function total({ resolutions: { cache, registry, stale, failed } }) {
  return cache + registry + stale + failed
}

/** @import { RegistryStatus } from '../../../api/v1/registries.ts' */
/** @import { StatsResponse } from '../../../api/v1/stats.ts' */
/** @import { Moment } from './plot.js' */
