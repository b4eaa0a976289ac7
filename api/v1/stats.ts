import type { XStatic } from 'typebox/schema'
import type { ObjectSchema } from './schema.ts'

const count = { type: 'integer' } as const

/** Answer of `GET /stats`: numbers since the start. */
export const StatsResponse = {
  $id: 'StatsResponse',
  description: 'Numbers since the start of the service.',
  type: 'object',
  required: ['uptimeSeconds', 'resolutions', 'cache', 'latencies', 'pulls', 'configuration'],
  properties: {
    uptimeSeconds: { type: 'number' },
    resolutions: {
      type: 'object',
      description: 'How questions ended, by source.',
      required: ['cache', 'shared', 'registry', 'stale', 'failed'],
      properties: { cache: count, shared: count, registry: count, stale: count, failed: count },
    },
    cache: {
      type: 'object',
      required: [
        'hitRate',
        'hits',
        'misses',
        'coalesced',
        'stale',
        'negative',
        'revalidated',
        'evicted',
        'entries',
      ],
      properties: {
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
      },
    },
    shared: {
      type: 'object',
      description: 'Of the store that the fleet shares; absent where none is configured.',
      required: ['leftAlone', 'lookups', 'claims', 'signatureFailures', 'commandP99Ms'],
      properties: {
        leftAlone: { type: 'boolean', description: 'It is not asked at the moment.' },
        lookups: {
          type: 'object',
          required: ['answer', 'absence', 'none', 'left_alone'],
          properties: { answer: count, absence: count, none: count, left_alone: count },
        },
        claims: {
          type: 'object',
          required: ['won', 'waited', 'lost', 'given_up'],
          properties: { won: count, waited: count, lost: count, given_up: count },
        },
        signatureFailures: count,
        commandP99Ms: { type: ['number', 'null'] },
      },
    },
    latencies: {
      type: 'array',
      description: 'Of resolutions, by source; estimated from a histogram.',
      items: {
        type: 'object',
        required: ['source', 'count', 'p50Ms', 'p99Ms'],
        properties: {
          source: { type: 'string', enum: ['cache', 'shared', 'registry', 'stale', 'failed'] },
          count,
          p50Ms: { type: ['number', 'null'] },
          p99Ms: { type: ['number', 'null'] },
        },
      },
    },
    pulls: {
      type: 'object',
      required: ['inFlight', 'pulled', 'failed', 'passedOn'],
      properties: {
        inFlight: count,
        pulled: { ...count, description: 'From a registry that was chosen here.' },
        failed: count,
        passedOn: { ...count, description: 'Given to the runtime as they came.' },
      },
    },
    configuration: {
      type: 'object',
      required: ['generation', 'loadedAt', 'lastReloadFailed'],
      properties: {
        generation: count,
        loadedAt: { type: 'string', format: 'date-time' },
        lastReloadFailed: { type: 'boolean' },
      },
    },
  },
} as const satisfies ObjectSchema
export type StatsResponse = XStatic<typeof StatsResponse>

/** Answer of `GET /version`: which program this is. */
export const VersionResponse = {
  $id: 'VersionResponse',
  description: 'Which program this is.',
  type: 'object',
  required: ['version', 'commit', 'node'],
  properties: {
    version: { type: 'string', examples: ['1.2.3'] },
    commit: {
      type: ['string', 'null'],
      description: 'That it was built from; null where that is not known.',
    },
    node: { type: 'string', description: 'The version of Node.js.', examples: ['24.21.0'] },
  },
} as const satisfies ObjectSchema
export type VersionResponse = XStatic<typeof VersionResponse>
