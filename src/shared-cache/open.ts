import { hostname } from 'node:os'
import type { Clock } from '../concurrency/clock.ts'
import type { SharedStoreConfig } from '../config/config.ts'
import type { SharedCache } from '../resolver/sharing.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { EntrySigner, type NodeBody } from './entry.ts'
import { type FleetSurvey, NodeBeats, surveyFleet } from './nodes.ts'
import { readKey } from './secrets.ts'
import { StoreCache } from './shared-cache.ts'
import { Store, type StoreOptions } from './store.ts'

export interface OpenOptions {
  /** What of the configuration beside the candidates decides an answer. */
  readonly scope: () => string
  /** What this node tells of itself, beside its name. */
  readonly self: () => Omit<NodeBody, 'node'>
  readonly metrics: SharedMetrics
  readonly clock: Clock
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

export interface OpenSharedCache {
  readonly cache: SharedCache
  /** Resolves when the store is connected, or after so long. */
  ready(limitMs: number): Promise<void>
  /** Gives all claims back. */
  close(): Promise<void>
}

/**
 * What the nodes of a fleet share. The store may answer later, or never.
 *
 * @throws what the file of the key has against it
 */
export async function openSharedCache(
  config: SharedStoreConfig,
  { scope, self, ...shared }: OpenOptions,
): Promise<OpenSharedCache> {
  const { budgetMs, freshnessMs } = config
  const { clock } = shared
  const signer = new EntrySigner(await readKey(config))
  const store = new Store({ ...shared, config })
  const cache = new StoreCache({ ...shared, store, signer, scope, freshnessMs, budgetMs })
  const node = hostname()
  const body = (): NodeBody => ({ node, ...self() })
  const beats = new NodeBeats({ store, signer, self: body, clock, budgetMs })
  await store.open()
  void beats.start()
  return {
    cache,
    ready: (limitMs) => store.ready(limitMs),
    async close() {
      beats.close()
      await cache.close()
      await store.close(budgetMs)
    },
  }
}

/** A command has the time to connect. */
const CONNECT_LIMIT_MS = 5_000

/**
 * The nodes of a fleet.
 *
 * @throws Error that says why the store cannot be asked
 */
export async function surveyStore(
  config: SharedStoreConfig,
  options: Omit<StoreOptions, 'config'>,
): Promise<FleetSurvey> {
  const signer = new EntrySigner(await readKey(config))
  const store = new Store({ ...options, config })
  try {
    await store.open()
    await store.ready(CONNECT_LIMIT_MS)
    const found = await surveyFleet(store, signer)
    if (found === undefined) throw new Error(`${config.url}: ${store.trouble}`)
    return found
  } finally {
    await store.close(config.budgetMs)
  }
}
