import type { XStatic } from 'typebox/schema'
import type { ObjectSchema } from './schema.ts'

/** What holds where the file says nothing. Durations are written as in the file. */
export const CONFIG_DEFAULTS = {
  shim: '/var/run/image-cri-shim.sock',
  offlinePriority: 1000,
  force: false,
  debug: false,
  image: '/var/lib/image-resolver',
  timeout: '15m',
  reloadInterval: '15s',
  cache: {
    imageCacheSize: 1024,
    imageCacheTTL: '30m',
    domainCacheTTL: '10m',
    statsLogInterval: '1m',
    disableStats: false,
    tagTTL: '1m',
  },
  priority: 500,
  listen: '127.0.0.1:9430',
  onResolveError: 'passthrough',
} as const

/** Lists are bounded, so that a file of a megabyte cannot mean a million registries. */
const MAX_ITEMS = 256

const ADDRESS_FORMS =
  'host[:port][/prefix], with http:// or https:// before it; without: https, on loopback http'

/** One entry of `registries:`. */
const RegistryFields = {
  type: 'object',
  additionalProperties: false,
  required: ['address'],
  properties: {
    address: { type: 'string', description: `Where the registry is: ${ADDRESS_FORMS}.` },
    auth: {
      type: 'string',
      description: 'user:password for this registry alone, cut at the first colon.',
    },
    priority: {
      type: 'integer',
      default: CONFIG_DEFAULTS.priority,
      description: 'Higher is asked first; 0 to 10000, beyond that clamped with a warning.',
    },
    upstreams: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_ITEMS,
      items: { type: 'string' },
      description:
        'Domains whose images this registry serves. Absent: a private registry serves every domain, a well-known public one only its own.',
    },
  },
} as const satisfies ObjectSchema
export type RegistryFields = XStatic<typeof RegistryFields>

const CacheFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    imageCacheSize: {
      type: 'integer',
      maximum: 1_000_000,
      default: CONFIG_DEFAULTS.cache.imageCacheSize,
      description: 'Answers kept; 0 turns the cache off.',
    },
    imageCacheTTL: {
      type: 'string',
      default: CONFIG_DEFAULTS.cache.imageCacheTTL,
      description: "How long a tag's answer is kept at all, to be revalidated or given as stale.",
    },
    domainCacheTTL: {
      type: 'string',
      default: CONFIG_DEFAULTS.cache.domainCacheTTL,
      description: 'Accepted for existing files; which registries serve a domain is never stale.',
    },
    statsLogInterval: {
      type: 'string',
      default: CONFIG_DEFAULTS.cache.statsLogInterval,
      description: 'Accepted for existing files; counts of hits and misses are not logged.',
    },
    disableStats: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.cache.disableStats,
      description: 'Accepted for existing files, as statsLogInterval.',
    },
    tagTTL: {
      type: 'string',
      default: CONFIG_DEFAULTS.cache.tagTTL,
      description: "How long a tag's answer is given without asking its registry again.",
    },
  },
} as const satisfies ObjectSchema

const HttpFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    listen: {
      type: 'string',
      default: CONFIG_DEFAULTS.listen,
      description: 'host:port (port 0: any free one) or unix:///path of the HTTP API.',
    },
  },
} as const satisfies ObjectSchema

/** The configuration file: every field of an image-cri-shim.yaml, and ours. */
export const ConfigFile = {
  type: 'object',
  additionalProperties: false,
  properties: {
    shim: {
      type: 'string',
      default: CONFIG_DEFAULTS.shim,
      description: 'Our CRI socket, which kubelet is pointed at.',
    },
    cri: {
      type: 'string',
      description: "The runtime's CRI socket. Absent: containerd's, CRI-O's or cri-dockerd's.",
    },
    address: {
      type: 'string',
      description: `The offline registry, which wins ties: ${ADDRESS_FORMS}.`,
    },
    auth: {
      type: 'string',
      description: 'user:password for `address`, cut at the first colon.',
    },
    offlinePriority: {
      type: 'integer',
      default: CONFIG_DEFAULTS.offlinePriority,
      description: 'Priority of `address`; 0 means the default.',
    },
    force: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.force,
      description: 'Open our socket at once, not only when the runtime answers.',
    },
    debug: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.debug,
      description: 'Log every step.',
    },
    image: {
      type: 'string',
      default: CONFIG_DEFAULTS.image,
      description: 'Folder for what must outlive a restart.',
    },
    version: {
      type: 'string',
      enum: ['v1', 'v1alpha2'],
      description: 'CRI version spoken to the runtime. Absent: found out.',
    },
    timeout: {
      type: 'string',
      default: CONFIG_DEFAULTS.timeout,
      description: 'Limit of one image operation that brings no deadline; 0 means the default.',
    },
    reloadInterval: {
      type: 'string',
      default: CONFIG_DEFAULTS.reloadInterval,
      description: 'How often this file is read again; 0 turns it off.',
    },
    cache: CacheFields,
    registries: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: RegistryFields,
      description: 'Registries beside `address`.',
    },
    http: HttpFields,
    onResolveError: {
      type: 'string',
      enum: ['passthrough', 'reject'],
      default: CONFIG_DEFAULTS.onResolveError,
      description: 'What becomes of a pull that nothing can be found for.',
    },
  },
} as const satisfies ObjectSchema
export type ConfigFile = XStatic<typeof ConfigFile>
