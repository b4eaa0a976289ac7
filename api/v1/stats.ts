import type { XStatic } from 'typebox/schema'
import { type ObjectSchema, object } from './schema.ts'

const count = { type: 'integer' } as const

/** Answer of `GET /stats`: numbers since the start. */
export const StatsResponse = {
  $id: 'StatsResponse',
  description: 'Numbers since the start of the service.',
  ...object({
    uptimeSeconds: { type: 'number' },
    resolutions: {
      description: 'How questions ended, by source.',
      ...object({ cache: count, shared: count, registry: count, stale: count, failed: count }),
    },
    cache: object({
      hitRate: {
        type: ['number', 'null'],
        description: 'Of all questions, those answered without a registry; null before any.',
      },
      hits: count,
      misses: count,
      coalesced: count,
      stale: count,
      negative: count,
      revalidated: count,
      evicted: count,
      entries: count,
    }),
    'shared?': {
      description: 'Of the store that the fleet shares; absent where none is configured.',
      ...object({
        leftAlone: { type: 'boolean', description: 'It is not asked at the moment.' },
        lookups: object({ answer: count, absence: count, none: count, left_alone: count }),
        claims: object({ won: count, waited: count, lost: count, given_up: count }),
        signatureFailures: count,
        commandP99Ms: { type: ['number', 'null'] },
      }),
    },
    latencies: {
      type: 'array',
      description: 'Of resolutions, by source; estimated from a histogram.',
      items: object({
        source: { type: 'string', enum: ['cache', 'shared', 'registry', 'stale', 'failed'] },
        count,
        p50Ms: { type: ['number', 'null'] },
        p99Ms: { type: ['number', 'null'] },
      }),
    },
    pulls: object({
      inFlight: count,
      pulled: { ...count, description: 'From a registry that was chosen here.' },
      failed: count,
      passedOn: { ...count, description: 'Given to the runtime as they came.' },
    }),
    configuration: object({
      generation: count,
      loadedAt: { type: 'string', format: 'date-time' },
      lastReloadFailed: { type: 'boolean' },
    }),
  }),
} as const satisfies ObjectSchema
export type StatsResponse = XStatic<typeof StatsResponse>

/** Answer of `GET /version`: which program this is. */
export const VersionResponse = {
  $id: 'VersionResponse',
  description: 'Which program this is.',
  ...object({
    version: { type: 'string', examples: ['1.2.3'] },
    commit: {
      type: ['string', 'null'],
      description: 'That it was built from; null where that is not known.',
    },
    node: { type: 'string', description: 'The version of Node.js.', examples: ['24.21.0'] },
  }),
} as const satisfies ObjectSchema
export type VersionResponse = XStatic<typeof VersionResponse>

const perMinute = { type: 'array', items: { type: ['number', 'null'] }, maxItems: 1_441 } as const

/** Answer of `GET /stats/history`: the last day. */
export const StatsHistoryResponse = {
  $id: 'StatsHistoryResponse',
  description:
    'The last day of this service, or since its start: one value a minute, the oldest first, the last one of the minute that runs. null: there was nothing to measure.',
  ...object({
    at: {
      type: 'string',
      format: 'date-time',
      description: 'Time of the last value; each one before is `everySeconds` older.',
    },
    everySeconds: { type: 'integer', examples: [60] },
    resolutions: { type: 'array', items: count, maxItems: 1_441, description: 'Questions.' },
    hitRate: {
      ...perMinute,
      description: 'Of the questions of that minute, those answered without a registry: 0 to 1.',
    },
    p50Ms: { ...perMinute, description: 'Of resolutions that asked registries.' },
    p99Ms: perMinute,
    registries: {
      type: 'array',
      description: 'The configured registries in the order of asking; their last hour.',
      items: object({
        name: { type: 'string' },
        latencyMs: {
          ...perMinute,
          maxItems: 61,
          description: 'Moving average of its answers, at the end of each minute.',
        },
      }),
    },
  }),
} as const satisfies ObjectSchema
export type StatsHistoryResponse = XStatic<typeof StatsHistoryResponse>
