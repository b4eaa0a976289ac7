import type { XStatic } from 'typebox/schema'
import { Platform } from './resolve.ts'
import { fields, type ObjectSchema, object } from './schema.ts'

/** Of `GET /cache`. */
export const CacheQuery = fields({
  n: {
    type: 'integer',
    minimum: 1,
    maximum: 1000,
    default: 100,
    description: 'At most so many answers.',
  },
})
export type CacheQuery = XStatic<typeof CacheQuery>

/** Answer of `GET /cache`. */
export const CacheResponse = {
  $id: 'CacheResponse',
  description: 'Answers that the service keeps in memory, the most recently used first.',
  ...object({
    total: { type: 'integer', description: 'How many it keeps.' },
    answers: {
      type: 'array',
      maxItems: 1000,
      items: object({
        reference: { type: 'string', examples: ['docker.io/library/nginx:latest'] },
        platform: Platform,
        digest: { type: 'string' },
        registry: { type: 'string', description: 'The registry that answered.' },
        resolvedAt: { type: 'string', format: 'date-time' },
        expiresAt: {
          type: ['string', 'null'],
          format: 'date-time',
          description: 'When a registry is asked again; null: never, as of a digest.',
        },
      }),
    },
  }),
} as const satisfies ObjectSchema
export type CacheResponse = XStatic<typeof CacheResponse>
