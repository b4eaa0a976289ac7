import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import type { Histogram, LabelledCounter, Metrics } from './counters.ts'

/** What other parts of the service keep, read at each scrape. */
export interface Readings {
  readonly build: { readonly version: string; readonly commit: string }
  readonly metrics: Metrics
  /** Events of the cache by name, since the start. */
  cacheEvents(): Readonly<Record<string, number>>
  /** Entries by kind, now. */
  cacheEntries(): Readonly<Record<string, number>>
  registries(): readonly RegistryReading[]
  /** Images in use by where they can be pulled from; undefined: not known. */
  imagesInUse(): Readonly<Record<string, number>> | undefined
}

interface RegistryReading {
  readonly registry: string
  readonly state: string
  /** Requests it says are left; undefined: it does not say. */
  readonly remaining: number | undefined
}

const STATES = ['closed', 'open', 'half-open', 'parked'] as const

/** The page of `GET /metrics`, in Prometheus' text format. */
export class MetricsPage {
  readonly #registry = new Registry()
  readonly contentType = this.#registry.contentType

  constructor(readings: Readings) {
    const { metrics } = readings
    // With a registry of its own: two services in one process, as in tests, must not share one.
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#counter('image_resolver_resolutions_total', 'Resolutions by source.', ['source'], () =>
      Object.entries(metrics.resolutions).map(([source, { count }]) => [{ source }, count]),
    )
    this.#counter(
      'image_resolver_resolution_failures_total',
      'Resolutions without an answer, by error code.',
      ['code'],
      () => rows(metrics.failures),
    )
    this.#registry.registerMetric(
      histogramMetric(
        'image_resolver_resolution_seconds',
        'How long resolutions took, by source.',
        () => Object.entries(metrics.resolutions).map(([source, each]) => [{ source }, each]),
      ),
    )
    this.#counter(
      'image_resolver_failovers_total',
      'Resolutions that another registry than the first one answered.',
      [],
      () => [[{}, metrics.failovers]],
    )
    this.#counter(
      'image_resolver_tag_divergences_total',
      'Registries that named another digest by a tag than the one that answered.',
      [],
      () => [[{}, metrics.divergences]],
    )
    this.#counter('image_resolver_cache_events_total', 'Events of the cache.', ['event'], () =>
      Object.entries(readings.cacheEvents()).map(([event, count]) => [{ event }, count]),
    )
    const { shared } = metrics
    this.#counter(
      'image_resolver_shared_lookups_total',
      'Questions to the store of the fleet, by outcome.',
      ['outcome'],
      () => byOutcome(shared.lookups),
    )
    this.#counter(
      'image_resolver_shared_claims_total',
      'Claims to ask registries for the fleet, by outcome.',
      ['outcome'],
      () => byOutcome(shared.claims),
    )
    this.#registry.registerMetric(
      histogramMetric(
        'image_resolver_shared_command_seconds',
        'How long the store of the fleet took to answer.',
        () => [[{}, shared.commands]],
      ),
    )
    this.#counter(
      'image_resolver_shared_commands_skipped_total',
      'Commands that were not sent, since the store of the fleet is left alone.',
      [],
      () => [[{}, shared.leftAlone]],
    )
    this.#counter(
      'image_resolver_shared_signature_failures_total',
      'Entries of the store of the fleet that were passed over.',
      [],
      () => [[{}, shared.signatureFailures]],
    )
    this.#counter(
      'image_resolver_registry_requests_total',
      'Requests to registries, by method and status.',
      ['registry', 'method', 'status'],
      () => rows(metrics.exchanges),
    )
    this.#counter(
      'image_resolver_registry_events_total',
      'Notifications of registries, by what became of them.',
      ['format', 'outcome'],
      () => rows(metrics.registryEvents),
    )
    this.#counter('image_resolver_cri_calls_total', 'CRI calls.', ['method', 'code'], () =>
      rows(metrics.calls),
    )
    this.#counter(
      'image_resolver_pulls_total',
      'Pulls that ended, by outcome.',
      ['outcome'],
      () => [
        [{ outcome: 'pulled' }, metrics.pulls.pulled],
        [{ outcome: 'failed' }, metrics.pulls.failed],
        [{ outcome: 'passed_on' }, metrics.pulls.passedOn],
      ],
    )
    const gauge = (
      name: string,
      help: string,
      labelNames: readonly string[],
      read: () => readonly Reading[],
    ): void => {
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.reset()
          for (const [labels, value] of read()) this.set(labels, value)
        },
      })
    }
    gauge(
      'image_resolver_build_info',
      '1, with what runs as labels.',
      ['version', 'commit', 'node'],
      () => [[{ ...readings.build, node: process.versions.node }, 1]],
    )
    gauge('image_resolver_pulls_in_flight', 'Pulls that run now.', [], () => [
      [{}, metrics.pulls.inFlight],
    ])
    gauge('image_resolver_cache_entries', 'Entries of the cache.', ['kind'], () =>
      Object.entries(readings.cacheEntries()).map(([kind, count]) => [{ kind }, count]),
    )
    gauge(
      'image_resolver_registry_state',
      '1 for the state that the breaker of a registry is in.',
      ['registry', 'state'],
      () =>
        readings
          .registries()
          .flatMap(({ registry, state }) =>
            STATES.map((each): Reading => [{ registry, state: each }, each === state ? 1 : 0]),
          ),
    )
    gauge(
      'image_resolver_registry_requests_left',
      'Requests that a registry says are left.',
      ['registry'],
      () =>
        readings
          .registries()
          .flatMap(({ registry, remaining }): Reading[] =>
            remaining === undefined ? [] : [[{ registry }, remaining]],
          ),
    )
    gauge(
      'image_resolver_images_in_use',
      'Images that pods use, by where they can be pulled from.',
      ['state'],
      () =>
        Object.entries(readings.imagesInUse() ?? {}).map(([state, count]) => [{ state }, count]),
    )
    gauge(
      'image_resolver_shared_left_alone',
      '1 while the store of the fleet is configured and left alone.',
      [],
      () => [[{}, shared.unused]],
    )
    gauge('image_resolver_config_generation', 'Grows with each configuration.', [], () => [
      [{}, metrics.configuration.generation],
    ])
    gauge('image_resolver_config_loaded_timestamp_seconds', 'When it was loaded.', [], () => [
      [{}, metrics.configuration.loadedAt / 1_000],
    ])
    gauge(
      'image_resolver_config_last_reload_failed',
      '1 when the file says something that cannot be used.',
      [],
      () => [[{}, metrics.configuration.lastReloadFailed ? 1 : 0]],
    )
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }

  #counter(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => readonly Reading[],
  ): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [labels, value] of read()) this.inc(labels, value)
      },
    })
  }
}

type Reading = readonly [labels: Readonly<Record<string, string>>, value: number]

function rows(counter: Pick<LabelledCounter<string>, 'rows'>): Reading[] {
  return counter.rows().map(({ labels, count }) => [labels, count])
}

function byOutcome(counts: Readonly<Record<string, number>>): Reading[] {
  return Object.entries(counts).map(([outcome, count]) => [{ outcome }, count])
}

/** Shows a histogram of counters.ts, which says why it is not one of prom-client's. */
function histogramMetric(
  name: string,
  help: string,
  read: () => readonly (readonly [labels: Readonly<Record<string, string>>, Histogram])[],
): Metric {
  const get = async () => ({
    name,
    help,
    type: 'histogram',
    aggregator: 'sum',
    values: read().flatMap(([labels, histogram]) => [
      ...histogram.cumulative().map(({ boundMs, count }) => ({
        metricName: `${name}_bucket`,
        labels: { ...labels, le: boundMs === Number.POSITIVE_INFINITY ? '+Inf' : boundMs / 1_000 },
        value: count,
      })),
      { metricName: `${name}_sum`, labels, value: histogram.sumMs / 1_000 },
      { metricName: `${name}_count`, labels, value: histogram.count },
    ]),
  })
  return { name, get } as unknown as Metric
}
