import { performance } from 'node:perf_hooks'
import { type Clock, systemClock } from '../../src/concurrency/clock.ts'
import { RegistryHealth } from '../../src/registry/health.ts'
import { ResolutionCache } from '../../src/resolver/cache/cache.ts'
import { Resolver, type ResolverOptions } from '../../src/resolver/resolver.ts'
import { type OpenSharedCache, openSharedCache } from '../../src/shared-cache/open.ts'
import { Metrics } from '../../src/telemetry/counters.ts'
import { loadText } from './config.ts'
import { type Redis, requireRedis, startRedis } from './redis.ts'
import { AMD64, entry, FakeSource, identity, type Reply, registriesOf } from './resolver.ts'
import type { Cleanup, Skippable } from './stack.ts'
import { until } from './until.ts'

/** As PullImage resolves with `imagePullPolicy: Always`. */
export const ALWAYS = { refresh: true, shared: true, urgent: true } as const

/** Instead of a second, the longest that can be written, where a test does not say another budget. */
const PATIENT_MS = 30_000
/** How long answers count, where a test does not say: what it does meanwhile takes any time on a busy machine. */
const HOUR_MS = 3_600_000

const steady = (): number => performance.now()

/** One node of a fleet: a resolver with a cache of its own, and the store that all share. */
export interface FleetMember {
  readonly resolver: Resolver
  readonly cache: ResolutionCache
  readonly health: RegistryHealth
  readonly metrics: Metrics
  readonly shared: OpenSharedCache
  /** Messages of its log. */
  readonly logged: string[]
}

export interface FleetMemberOptions {
  /** Of `cache.shared`, as in the file, beside `url`. */
  readonly fields?: string
  readonly tagTtlMs?: number
  readonly scope?: string
  /** How long a store that does not answer is waited for. */
  readonly readyMs?: number
  /** Default: the system's. */
  readonly clock?: Clock
  readonly resolver?: Partial<ResolverOptions>
}

/** @param url of the store. Connected when this resolves, if the store answers */
export async function startMember(
  t: Cleanup,
  url: string,
  source: FakeSource,
  options: FleetMemberOptions = {},
): Promise<FleetMember> {
  const { clock = systemClock, fields = '', readyMs = 60_000, scope = '' } = options
  const { tagTtlMs = HOUR_MS } = options
  const { shared: written } = loadText(`cache: {shared: {url: "${url}"${fields}}}\n`).config.cache
  if (written === undefined) throw new Error('there is no store')
  const isPatient = !/budget: (?!1s)/.test(fields)
  const config = {
    ...written,
    ...(isPatient && { budgetMs: PATIENT_MS }),
    ...(!fields.includes('freshness:') && { freshnessMs: HOUR_MS }),
  }
  const metrics = new Metrics()
  const logged: string[] = []
  const log = (_what: object, message: string): void => void logged.push(message)
  const logger = { info: log, warn: log } as Parameters<typeof openSharedCache>[1]['logger']
  const self = () => ({ version: '1.2.3', configuration: 'abc' })
  const shared = await openSharedCache(config, {
    scope: () => scope,
    self,
    metrics: metrics.shared,
    clock,
    steady,
    logger,
  })
  t.after(() => shared.close())
  await shared.ready(readyMs)
  const limits = { size: 64, tagTtlMs, keepMs: HOUR_MS, negativeTtlMs: HOUR_MS }
  const cache = new ResolutionCache(limits, clock.now, steady)
  const health = new RegistryHealth({ now: clock.now, steady })
  const resolver = new Resolver({
    source,
    registries: () => registriesOf([entry('m1')]),
    health,
    cache,
    clock,
    platform: AMD64,
    limits: () => ({ hedgeDelayMs: 0, probeBudgetMs: 30_000, totalMs: 60_000 }),
    fingerprint: (credentials) => (credentials === undefined ? '' : JSON.stringify(credentials)),
    shared: () => shared.cache,
    ...options.resolver,
  })
  return { resolver, cache, health, metrics, shared, logged }
}

export const IMAGE = identity('one')
/** Of the same tag, later. */
export const OTHER = identity('two')

/** A registry that has the image. */
export const has =
  (image = IMAGE): Reply =>
  async () =>
    image

export interface Fleet {
  readonly redis: Redis
  /** The registries of all nodes. */
  readonly source: FakeSource
  readonly a: FleetMember
  readonly b: FleetMember
}

/** Two nodes and their store. @returns undefined where there is no redis-server: the test is skipped */
export async function startPair(
  t: Skippable,
  options: FleetMemberOptions = {},
  source = new FakeSource({ m1: has() }),
): Promise<Fleet | undefined> {
  if (!requireRedis(t)) return undefined
  const redis = await startRedis(t)
  const [a, b] = await Promise.all([
    startMember(t, redis.url, source, options),
    startMember(t, redis.url, source, options),
  ])
  return { redis, source, a, b }
}

/** Where the answers of the store stand. */
export async function answers(redis: Redis): Promise<readonly string[]> {
  return (await redis.command('keys', '*:answer:*')).split('\n').filter(Boolean)
}

/** Resolves when the store has so many. */
export async function told(redis: Redis, count = 1): Promise<void> {
  await until(async () => (await answers(redis)).length >= count)
}
