import { type Static, Type } from 'typebox'

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
const RegistryFields = Type.Object(
  {
    address: Type.String({ description: `Where the registry is: ${ADDRESS_FORMS}.` }),
    auth: Type.Optional(
      Type.String({
        description: 'user:password for this registry alone, cut at the first colon.',
      }),
    ),
    priority: Type.Optional(
      Type.Integer({
        default: CONFIG_DEFAULTS.priority,
        description: 'Higher is asked first; 0 to 10000, beyond that clamped with a warning.',
      }),
    ),
    upstreams: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        maxItems: MAX_ITEMS,
        description:
          'Domains whose images this registry serves. Absent: a private registry serves every domain, a well-known public one only its own.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type RegistryFields = Static<typeof RegistryFields>

const CacheFields = Type.Object(
  {
    imageCacheSize: Type.Optional(
      Type.Integer({
        maximum: 1_000_000,
        default: CONFIG_DEFAULTS.cache.imageCacheSize,
        description: 'Answers kept; 0 turns the cache off.',
      }),
    ),
    imageCacheTTL: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.cache.imageCacheTTL,
        description: "How long a tag's answer is kept at all, to be revalidated or given as stale.",
      }),
    ),
    domainCacheTTL: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.cache.domainCacheTTL,
        description: 'Accepted for existing files; which registries serve a domain is never stale.',
      }),
    ),
    statsLogInterval: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.cache.statsLogInterval,
        description: 'Accepted for existing files; counts of hits and misses are not logged.',
      }),
    ),
    disableStats: Type.Optional(
      Type.Boolean({
        default: CONFIG_DEFAULTS.cache.disableStats,
        description: 'Accepted for existing files, as statsLogInterval.',
      }),
    ),
    tagTTL: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.cache.tagTTL,
        description: "How long a tag's answer is given without asking its registry again.",
      }),
    ),
  },
  { additionalProperties: false },
)

const HttpFields = Type.Object(
  {
    listen: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.listen,
        description: 'host:port (port 0: any free one) or unix:///path of the HTTP API.',
      }),
    ),
  },
  { additionalProperties: false },
)

/** The configuration file: every field of an image-cri-shim.yaml, and ours. */
export const ConfigFile = Type.Object(
  {
    shim: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.shim,
        description: 'Our CRI socket, which kubelet is pointed at.',
      }),
    ),
    cri: Type.Optional(
      Type.String({
        description: "The runtime's CRI socket. Absent: containerd's, CRI-O's or cri-dockerd's.",
      }),
    ),
    address: Type.Optional(
      Type.String({ description: `The offline registry, which wins ties: ${ADDRESS_FORMS}.` }),
    ),
    auth: Type.Optional(
      Type.String({ description: 'user:password for `address`, cut at the first colon.' }),
    ),
    offlinePriority: Type.Optional(
      Type.Integer({
        default: CONFIG_DEFAULTS.offlinePriority,
        description: 'Priority of `address`; 0 means the default.',
      }),
    ),
    force: Type.Optional(
      Type.Boolean({
        default: CONFIG_DEFAULTS.force,
        description: 'Open our socket at once, not only when the runtime answers.',
      }),
    ),
    debug: Type.Optional(
      Type.Boolean({ default: CONFIG_DEFAULTS.debug, description: 'Log every step.' }),
    ),
    image: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.image,
        description: 'Folder for what must outlive a restart.',
      }),
    ),
    version: Type.Optional(
      Type.Enum(['v1', 'v1alpha2'], {
        description: 'CRI version spoken to the runtime. Absent: found out.',
      }),
    ),
    timeout: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.timeout,
        description: 'Limit of one image operation that brings no deadline; 0 means the default.',
      }),
    ),
    reloadInterval: Type.Optional(
      Type.String({
        default: CONFIG_DEFAULTS.reloadInterval,
        description: 'How often this file is read again; 0 turns it off.',
      }),
    ),
    cache: Type.Optional(CacheFields),
    registries: Type.Optional(
      Type.Array(RegistryFields, {
        maxItems: MAX_ITEMS,
        description: 'Registries beside `address`.',
      }),
    ),
    http: Type.Optional(HttpFields),
    onResolveError: Type.Optional(
      Type.Enum(['passthrough', 'reject'], {
        default: CONFIG_DEFAULTS.onResolveError,
        description: 'What becomes of a pull that nothing can be found for.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type ConfigFile = Static<typeof ConfigFile>
