import { hostname } from 'node:os'
import type { Clock } from '../concurrency/clock.ts'
import type { SharedStoreConfig } from '../config/config.ts'
import type { SharedCache } from '../resolver/shared-cache.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { EntrySigner, type NodeBody } from './entry.ts'
import { type FleetSurvey, NodeBeats, surveyFleet } from './nodes.ts'
import { RedisCache } from './redis-cache.ts'
import { RedisClient, type RedisClientOptions } from './redis-client.ts'
import { readSecret } from './redis-connection.ts'

const MIN_KEY_BYTES = 16
/** Behind the clock of a node the store's is no further where what is on the way could put another in its place. */
const MAX_BEHIND_MS = 300_000

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
  readonly cache: SharedCache & Pick<RedisCache, 'check'>
  /** As RedisCache.expire. */
  expire: RedisCache['expire']
  /** Resolves when the store is connected, or after so long. */
  ready(limitMs: number): Promise<void>
  /** Gives all claims back, and is no node of the fleet any more. */
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
  const { budgetMs, freshnessMs, isPlainOnNetwork } = config
  const { clock } = shared
  const signer = new EntrySigner(await readKey(config))
  const client = new RedisClient({ ...shared, config, connected: () => cache.connected() })
  const maxBehindMs = isPlainOnNetwork ? MAX_BEHIND_MS : undefined
  const limits = { freshnessMs, budgetMs, maxBehindMs }
  const cache: RedisCache = new RedisCache({ ...shared, ...limits, client, signer, scope })
  const node = hostname()
  const body = (): NodeBody => ({ node, ...self() })
  const beats = new NodeBeats({ client, signer, self: body, clock, budgetMs })
  await client.open()
  void beats.start()
  return {
    cache,
    expire: (changes) => cache.expire(changes),
    ready: (limitMs) => client.ready(limitMs),
    async close() {
      await Promise.all([beats.close(), cache.close()])
      await client.close(budgetMs)
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
  options: Omit<RedisClientOptions, 'config'>,
): Promise<FleetSurvey> {
  const signer = new EntrySigner(await readKey(config))
  const client = new RedisClient({ ...options, config })
  try {
    await client.open()
    await client.ready(CONNECT_LIMIT_MS)
    const found = await surveyFleet(client, signer)
    if (found === undefined) throw new Error(`${config.url}: ${client.trouble}`)
    return found
  } finally {
    await client.close(config.budgetMs)
  }
}

/**
 * The key that entries are signed with.
 *
 * @returns empty where none is configured
 * @throws Error that says what is wrong with the file
 */
async function readKey({ key: file }: SharedStoreConfig): Promise<Buffer> {
  if (file === undefined) return Buffer.alloc(0)
  const key = Buffer.from((await readSecret(file)) ?? '')
  if (key.length >= MIN_KEY_BYTES) return key
  const how = 'write one with openssl rand -hex 32'
  throw new Error(`${file} has less than ${MIN_KEY_BYTES} bytes: ${how}`)
}
