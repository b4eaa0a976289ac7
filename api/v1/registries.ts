import type { XStatic } from 'typebox/schema'
import { fields, type ObjectSchema, object } from './schema.ts'

/** One configured registry, and how it does. */
export const RegistryStatus = {
  $id: 'RegistryStatus',
  description: 'One configured registry, and how it does. Never holds a secret.',
  ...object({
    name: { type: 'string', examples: ['harbor.corp/proxy-docker'] },
    address: { type: 'string', examples: ['https://harbor.corp/proxy-docker'] },
    path: {
      type: 'string',
      description: 'Below which its repositories are: the end of `address`; empty: all of it.',
      examples: ['proxy-docker'],
    },
    priority: { type: 'integer', description: '0 to 10000; higher is asked first.' },
    offline: { type: 'boolean', description: 'The one of `address:`; it wins ties.' },
    upstreams: {
      type: 'array',
      items: { type: 'string' },
      description:
        'The domains of the images that it serves: as configured, else its own domain of a well-known public registry, `*` of a private one.',
    },
    trusted: { type: 'boolean' },
    capabilities: { type: 'array', items: { type: 'string', enum: ['resolve', 'pull'] } },
    credentials: { type: 'boolean', description: 'Credentials are configured for it.' },
    healthy: {
      type: 'boolean',
      description: 'It is in use; false while it fails, is on probation, or asked for a pause.',
    },
    use: {
      type: 'string',
      enum: ['in use', 'left alone', 'on trial', 'paused'],
      description: '`state` in words.',
    },
    state: {
      type: 'string',
      enum: ['closed', 'open', 'half-open', 'parked'],
      description:
        'Of its breaker: `closed` in use, `open` failing and left alone, `half-open` on probation, `parked` it asked for a pause.',
    },
    latencyMs: {
      type: ['number', 'null'],
      description: 'Moving average of its answers; null before the first.',
    },
    retryAt: {
      type: ['string', 'null'],
      format: 'date-time',
      description: 'When it is asked again, while it is left alone.',
    },
    lastSuccessAt: { type: ['string', 'null'], format: 'date-time' },
    lastFailureAt: { type: ['string', 'null'], format: 'date-time' },
    'lastError?': object({ code: { type: 'string' }, message: { type: 'string' } }),
    'rateLimit?': {
      description: 'What it says of the requests that are left.',
      ...object({
        remaining: { type: 'integer' },
        'limit?': { type: 'integer' },
        'windowSeconds?': { type: 'integer' },
      }),
    },
  }),
} as const satisfies ObjectSchema
export type RegistryStatus = XStatic<typeof RegistryStatus>

/** Answer of `GET /registries`. */
export const RegistriesResponse = {
  $id: 'RegistriesResponse',
  description: 'The configured registries in the order of asking.',
  ...object({ registries: { type: 'array', items: RegistryStatus } }),
} as const satisfies ObjectSchema
export type RegistriesResponse = XStatic<typeof RegistriesResponse>

const page = {
  n: {
    type: 'integer',
    minimum: 1,
    maximum: 1000,
    default: 100,
    description: 'At most so many names.',
  },
  last: { type: 'string', description: 'The names behind this one: `next` of the page before.' },
} as const

/** Of `GET /registries/{name}/images`. */
export const PageQuery = fields(page)
export type PageQuery = XStatic<typeof PageQuery>

/** Of `GET /registries/{name}/tags`. */
export const TagsQuery = {
  additionalProperties: false,
  ...object({
    repository: {
      type: 'string',
      description: 'Below the address of the registry, as `GET /registries/{name}/images` has it.',
      examples: ['library/nginx'],
    },
    'n?': page.n,
    'last?': page.last,
  }),
} as const satisfies ObjectSchema
export type TagsQuery = XStatic<typeof TagsQuery>

/** Answer of `GET /registries/{name}/images`. */
export const RepositoriesResponse = {
  $id: 'RepositoriesResponse',
  description: 'A page of the repositories of a registry, as its catalogue lists them.',
  ...object({
    registry: { type: 'string' },
    repositories: { type: 'array', items: { type: 'string' } },
    next: { type: ['string', 'null'], description: '`last` for the next page; null: no more.' },
  }),
} as const satisfies ObjectSchema
export type RepositoriesResponse = XStatic<typeof RepositoriesResponse>

/** Answer of `GET /registries/{name}/tags`. */
export const TagsResponse = {
  $id: 'TagsResponse',
  description: 'A page of the tags of a repository.',
  ...object({
    registry: { type: 'string' },
    repository: { type: 'string' },
    tags: { type: 'array', items: { type: 'string' } },
    next: { type: ['string', 'null'], description: '`last` for the next page; null: no more.' },
  }),
} as const satisfies ObjectSchema
export type TagsResponse = XStatic<typeof TagsResponse>
