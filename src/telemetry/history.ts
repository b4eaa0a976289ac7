import type { StatsHistoryResponse } from '../../api/v1/stats.ts'
import { type Clock, repeat } from '../concurrency/clock.ts'
import { Histogram, type Metrics } from './counters.ts'

const EVERY_MS = 60_000
/** A day; four such rings take 23 KiB. */
const SAMPLES = 1_440
/** An hour: there may be dozens of registries. */
const REGISTRY_SAMPLES = 60

interface StatsHistoryOptions {
  readonly resolutions: Metrics['resolutions']
  /** The configured ones. */
  readonly registries: () => readonly {
    readonly name: string
    readonly latencyMs?: number | undefined
  }[]
  readonly clock: Clock
}

/** What is written down each minute; one array of each. */
const FIELDS = ['asked', 'hitRate', 'p50Ms', 'p99Ms'] as const
type Sample = Readonly<Record<(typeof FIELDS)[number], number>>

/** How the last day went, minute by minute, in rings of bounded size. NaN: there was nothing to measure. */
export class StatsHistory {
  readonly #options: StatsHistoryOptions
  readonly #rings = {
    asked: new Float32Array(SAMPLES),
    hitRate: new Float32Array(SAMPLES),
    p50Ms: new Float32Array(SAMPLES),
    p99Ms: new Float32Array(SAMPLES),
  }
  /** By name of the registry. */
  #latencies = new Map<string, Float32Array>()
  /** How many minutes were written; the place of the next one in each ring follows from it. */
  #taken = 0
  #takenAt: number
  #before: ReturnType<typeof totals>
  #cancel = (): void => {}

  constructor(options: StatsHistoryOptions) {
    this.#options = options
    this.#takenAt = options.clock.now()
    this.#before = totals(options.resolutions)
  }

  start(): void {
    this.#cancel = repeat(EVERY_MS, this.#options.clock, () => this.#take())
  }

  close(): void {
    this.#cancel()
  }

  /** With the minute that runs as the last one. */
  report(): StatsHistoryResponse {
    const { clock, registries } = this.#options
    const sample = this.#sample()
    const values = (field: keyof Sample) => this.#values(this.#rings[field], sample[field])
    return {
      at: new Date(clock.now()).toISOString(),
      everySeconds: EVERY_MS / 1_000,
      resolutions: values('asked').map((count) => count ?? 0),
      hitRate: values('hitRate'),
      p50Ms: values('p50Ms'),
      p99Ms: values('p99Ms'),
      registries: registries().map(({ name, latencyMs = Number.NaN }) => ({
        name,
        latencyMs: this.#values(this.#latencies.get(name) ?? emptyRing(), latencyMs),
      })),
    }
  }

  #take(): void {
    const { clock, registries, resolutions } = this.#options
    const now = clock.now()
    // A machine that slept rings no timer. A clock that is set back or far ahead moves the ring a day at most.
    const passed = Math.round((now - this.#takenAt) / EVERY_MS)
    const missed = Math.min(Math.max(passed - 1, 0), SAMPLES)
    this.#latencies = new Map(
      registries().map(({ name }) => [name, this.#latencies.get(name) ?? emptyRing()]),
    )
    for (let minute = 0; minute < missed; minute += 1) this.#write(undefined)
    this.#write(this.#sample())
    this.#takenAt = now
    this.#before = totals(resolutions)
  }

  /** @param sample undefined: nothing is known of that minute */
  #write(sample: Sample | undefined): void {
    const at = this.#taken % SAMPLES
    for (const field of FIELDS) this.#rings[field][at] = sample?.[field] ?? Number.NaN
    for (const { name, latencyMs } of this.#options.registries()) {
      const ring = this.#latencies.get(name)
      if (ring === undefined) continue
      ring[this.#taken % REGISTRY_SAMPLES] = (sample && latencyMs) ?? Number.NaN
    }
    this.#taken += 1
  }

  /** Of what happened since the last minute was written. */
  #sample(): Sample {
    const { registry, ...before } = this.#before
    const now = totals(this.#options.resolutions)
    const recorded = now.registry.since(registry)
    const asked = now.asked - before.asked
    return {
      asked,
      hitRate: (now.spared - before.spared) / asked,
      p50Ms: recorded.quantileMs(0.5) ?? Number.NaN,
      p99Ms: recorded.quantileMs(0.99) ?? Number.NaN,
    }
  }

  /** The oldest first. */
  #values(ring: Float32Array, running: number): (number | null)[] {
    const kept = Math.min(this.#taken, ring.length)
    const values = Array.from({ length: kept }, (_, index) => {
      const at = (this.#taken - kept + index) % ring.length
      return ring[at] ?? Number.NaN
    })
    return [...values, running].map((value) =>
      Number.isNaN(value) ? null : Math.round(value * 1_000) / 1_000,
    )
  }
}

function emptyRing(): Float32Array {
  return new Float32Array(REGISTRY_SAMPLES).fill(Number.NaN)
}

function totals({ cache, failed, registry, shared, stale }: Metrics['resolutions']) {
  const spared = cache.count + shared.count
  const asked = spared + registry.count + stale.count + failed.count
  return { asked, spared, registry: registry.since(new Histogram()) }
}
