import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import type { Histogram, LabelledCounter, Metrics } from './counters.ts'

/** What other parts of the service keep, read at each scrape. */
export interface Readings {
  readonly build: { readonly version: string; readonly commit: string }
  readonly metrics: Metrics
  /** Events of the cache by name, since the start. */
  cacheEvents(): Counts
  /** Entries by kind, now. */
  cacheEntries(): Counts
  registries(): readonly RegistryReading[]
  /** Images in use by where they can be pulled from; undefined: not known. */
  imagesInUse(): Counts | undefined
}

type Counts = Readonly<Record<string, number>>

interface RegistryReading {
  readonly registry: string
  readonly state: string
  /** Requests it says are left; undefined: it does not say. */
  readonly remaining: number | undefined
}

type Labels = Readonly<Record<string, string | number>>
type Reading = readonly [labels: Labels, value: number]

const STATES = ['closed', 'open', 'half-open', 'parked'] as const

/**
 * The page of `GET /metrics`, in Prometheus' text format. Values are read where the service keeps them, so that
 * prom-client counts nothing (counters.ts says why) and only writes.
 */
export class MetricsPage {
  // Of its own: two services in one process, as in tests, must not share one.
  readonly #registry = new Registry()
  readonly contentType = this.#registry.contentType

  constructor(readings: Readings) {
    const { configuration, pulls, resolutions, shared, ...metrics } = readings.metrics
    collectDefaultMetrics({ register: this.#registry })
    this.#counter('image_resolver_resolutions_total', 'Resolutions by source.', () =>
      Object.entries(resolutions).map(([source, { count }]) => [{ source }, count]),
    )
    this.#counter(
      'image_resolver_resolution_failures_total',
      'Resolutions without an answer, by error code.',
      () => rows(metrics.failures),
    )
    this.#histogram(
      'image_resolver_resolution_seconds',
      'How long resolutions took, by source.',
      () => Object.entries(resolutions).map(([source, each]) => [{ source }, each]),
    )
    this.#counter(
      'image_resolver_failovers_total',
      'Resolutions that another registry than the first one answered.',
      () => one(readings.metrics.failovers),
    )
    this.#counter(
      'image_resolver_tag_divergences_total',
      'Registries that named another digest by a tag than the one that answered.',
      () => one(readings.metrics.divergences),
    )
    this.#counter('image_resolver_cache_events_total', 'Events of the cache.', () =>
      by('event', readings.cacheEvents()),
    )
    this.#counter(
      'image_resolver_shared_lookups_total',
      'Questions to the store of the fleet, by outcome.',
      () => by('outcome', shared.lookups),
    )
    this.#counter(
      'image_resolver_shared_claims_total',
      'Claims to ask registries for the fleet, by outcome.',
      () => by('outcome', shared.claims),
    )
    this.#histogram(
      'image_resolver_shared_command_seconds',
      'How long the store of the fleet took to answer.',
      () => [[{}, shared.commands]],
    )
    this.#counter(
      'image_resolver_shared_commands_skipped_total',
      'Commands that were not sent, since the store of the fleet is left alone.',
      () => one(shared.leftAlone),
    )
    this.#counter(
      'image_resolver_shared_signature_failures_total',
      'Entries of the store of the fleet that were passed over.',
      () => one(shared.signatureFailures),
    )
    this.#counter(
      'image_resolver_registry_requests_total',
      'Requests to registries, by method and status.',
      () => rows(metrics.exchanges),
    )
    this.#counter(
      'image_resolver_registry_events_total',
      'Notifications of registries, by what became of them.',
      () => rows(metrics.registryEvents),
    )
    this.#counter('image_resolver_cri_calls_total', 'CRI calls.', () => rows(metrics.calls))
    this.#counter('image_resolver_pulls_total', 'Pulls that ended, by outcome.', () => {
      const { failed, passedOn: passed_on, pulled } = pulls
      return by('outcome', { pulled, failed, passed_on })
    })
    this.#gauge('image_resolver_build_info', '1, with what runs as labels.', () => [
      [{ ...readings.build, node: process.versions.node }, 1],
    ])
    this.#gauge('image_resolver_pulls_in_flight', 'Pulls that run now.', () => one(pulls.inFlight))
    this.#gauge('image_resolver_cache_entries', 'Entries of the cache.', () =>
      by('kind', readings.cacheEntries()),
    )
    this.#gauge(
      'image_resolver_registry_state',
      '1 for the state that the breaker of a registry is in.',
      () =>
        readings
          .registries()
          .flatMap(({ registry, state }) =>
            STATES.map((each): Reading => [{ registry, state: each }, Number(each === state)]),
          ),
    )
    this.#gauge(
      'image_resolver_registry_requests_left',
      'Requests that a registry says are left.',
      () =>
        readings
          .registries()
          .flatMap(({ registry, remaining }): Reading[] =>
            remaining === undefined ? [] : [[{ registry }, remaining]],
          ),
    )
    this.#gauge(
      'image_resolver_images_in_use',
      'Images that pods use, by where they can be pulled from.',
      () => by('state', readings.imagesInUse() ?? {}),
    )
    this.#gauge(
      'image_resolver_shared_left_alone',
      '1 while the store of the fleet is configured and left alone.',
      () => one(shared.unused),
    )
    this.#gauge('image_resolver_config_generation', 'Grows with each configuration.', () =>
      one(configuration.generation),
    )
    this.#gauge(
      'image_resolver_config_info',
      '1, with a hash of the registries that are configured, secrets left out.',
      () => [[{ hash: configuration.hash }, 1]],
    )
    this.#gauge('image_resolver_config_loaded_timestamp_seconds', 'When it was loaded.', () =>
      one(configuration.loadedAt / 1_000),
    )
    this.#gauge(
      'image_resolver_config_last_reload_failed',
      '1 when the file says something that cannot be used.',
      () => one(Number(configuration.lastReloadFailed)),
    )
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #counter(name: string, help: string, read: () => readonly Reading[]): void {
    this.#add('counter', name, help, () => valuesOf(read()))
  }

  #gauge(name: string, help: string, read: () => readonly Reading[]): void {
    this.#add('gauge', name, help, () => valuesOf(read()))
  }

  #histogram(
    name: string,
    help: string,
    read: () => readonly (readonly [labels: Labels, histogram: Histogram])[],
  ): void {
    this.#add('histogram', name, help, () =>
      read().flatMap(([labels, histogram]) => [
        ...histogram.cumulative().map(({ boundMs, count }) => {
          const le = boundMs === Number.POSITIVE_INFINITY ? '+Inf' : boundMs / 1_000
          return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count }
        }),
        { metricName: `${name}_sum`, labels, value: histogram.sumMs / 1_000 },
        { metricName: `${name}_count`, labels, value: histogram.count },
      ]),
    )
  }

  /** What the registry needs of a metric to write it. */
  #add(type: 'counter' | 'gauge' | 'histogram', name: string, help: string, read: () => object[]) {
    const get = async () => ({ name, help, type, aggregator: 'sum', values: read() })
    this.#registry.registerMetric({ name, get } as unknown as Metric)
  }
}

function valuesOf(readings: readonly Reading[]): object[] {
  return readings.map(([labels, value]) => ({ labels, value }))
}

function rows(counter: Pick<LabelledCounter<string>, 'rows'>): Reading[] {
  return counter.rows().map(({ labels, count }) => [labels, count])
}

function by(label: string, counts: Counts): Reading[] {
  return Object.entries(counts).map(([value, count]) => [{ [label]: value }, count])
}

function one(value: number): Reading[] {
  return [[{}, value]]
}
