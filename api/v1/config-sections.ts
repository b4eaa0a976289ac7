import { CONFIG_DEFAULTS } from './config-defaults.ts'
import { DURATION, MAX_ITEMS, SECRET } from './config-registry.ts'
import type { ObjectSchema } from './schema.ts'

const SharedStoreFields = {
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: {
    url: {
      type: 'string',
      description:
        'A Valkey or Redis that nodes share answers by: redis://host:port, rediss:// for TLS, redis+sentinel://host,host/name, redis+cluster://host,host or unix:///path.',
    },
    key: {
      type: 'string',
      description: 'file:/path of a secret that all nodes have, which entries are signed with.',
    },
    freshness: {
      ...DURATION,
      default: CONFIG_DEFAULTS.shared.freshness,
      description:
        'A pull takes an answer that any node got from the registry within this time; 0: never.',
    },
    budget: {
      ...DURATION,
      default: CONFIG_DEFAULTS.shared.budget,
      description: 'How long a lookup waits for the store; 0 means the default.',
    },
    username: { type: 'string', description: 'With passwordFile. Absent: the default user.' },
    passwordFile: { type: 'string', description: 'A file that holds the password of the store.' },
    addresses: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: { type: 'string' },
      description: 'Hosts and networks that sentinels or a cluster may name beside those of url.',
    },
    sentinelPasswordFile: { type: 'string', description: 'The password of the sentinels.' },
    tls: {
      type: 'object',
      additionalProperties: false,
      properties: {
        ca: { type: 'string', description: 'A PEM file of the authorities that are believed.' },
        cert: { type: 'string', description: 'A PEM file with the client certificate.' },
        key: { type: 'string', description: 'A PEM file with its key.' },
      },
    },
  },
} as const satisfies ObjectSchema

export const CacheFields = {
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
      ...DURATION,
      default: CONFIG_DEFAULTS.cache.imageCacheTTL,
      description: "How long a tag's answer is kept to be confirmed with one HEAD.",
    },
    domainCacheTTL: {
      ...DURATION,
      default: CONFIG_DEFAULTS.cache.domainCacheTTL,
      description: 'Accepted for existing files; which registries serve a domain is never stale.',
    },
    statsLogInterval: {
      ...DURATION,
      default: CONFIG_DEFAULTS.cache.statsLogInterval,
      description: 'How often the log gets the number of resolutions by source; 0 turns it off.',
    },
    disableStats: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.cache.disableStats,
      description: 'Never write those numbers to the log.',
    },
    tagTTL: {
      ...DURATION,
      default: CONFIG_DEFAULTS.cache.tagTTL,
      description: "How long a tag's answer is given without asking its registry again.",
    },
    negativeTTL: {
      ...DURATION,
      default: CONFIG_DEFAULTS.cache.negativeTTL,
      description: 'How long "no registry has it" is believed; 0: never.',
    },
    staleIfError: {
      ...DURATION,
      default: CONFIG_DEFAULTS.cache.staleIfError,
      description: 'How old an answer may be that is given when no registry answers; 0: never.',
    },
    shared: SharedStoreFields,
  },
} as const satisfies ObjectSchema

export const KeychainFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    dockerConfigs: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: { type: 'string' },
      description: "Docker's config.json or podman's auth.json files, in the order of asking.",
    },
    pullSecrets: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: { type: 'string' },
      description: '.dockerconfigjson secrets as files, matched as the kubelet matches them.',
    },
    credentialProviders: {
      type: 'object',
      additionalProperties: false,
      required: ['config', 'binDir'],
      properties: {
        config: {
          type: 'string',
          description: "The kubelet's --image-credential-provider-config.",
        },
        binDir: {
          type: 'string',
          description: "The kubelet's --image-credential-provider-bin-dir.",
        },
      },
    },
    helperTimeout: {
      ...DURATION,
      default: CONFIG_DEFAULTS.helperTimeout,
      description: 'Limit of one run of a credential helper or provider; 0 means the default.',
    },
  },
} as const satisfies ObjectSchema

export const ConfigMapFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    name: {
      type: 'string',
      default: CONFIG_DEFAULTS.configMap.name,
      description: 'NAMESPACE/NAME of the ConfigMap.',
    },
    key: {
      type: 'string',
      default: CONFIG_DEFAULTS.configMap.key,
      description: 'The field of its data that is read.',
    },
    kubeconfig: {
      type: 'string',
      description: "A kubeconfig file. Absent: the pod's service account.",
    },
  },
} as const satisfies ObjectSchema

export const ProxyFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    http: { ...SECRET, description: 'Proxy for registries that are asked over http.' },
    https: { ...SECRET, description: 'Proxy for registries that are asked over https.' },
    no: { type: 'string', description: 'Hosts that are asked directly, with commas between.' },
  },
} as const satisfies ObjectSchema

export const HttpFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    listen: {
      type: 'string',
      orNumber: true,
      default: CONFIG_DEFAULTS.listen,
      description: 'host:port (port 0: any free one) or unix:///path of the HTTP API.',
    },
    token: {
      ...SECRET,
      description:
        'Bearer token for what changes something, and for everything where listen is not loopback.',
    },
    tokenFile: {
      type: 'string',
      description: 'A file that holds the token; read again when it changes.',
    },
    tls: {
      type: 'object',
      additionalProperties: false,
      required: ['cert', 'key'],
      properties: {
        cert: { type: 'string', description: 'A PEM file with the certificate of the HTTP API.' },
        key: { type: 'string', description: 'A PEM file with its key.' },
      },
    },
    rateLimit: {
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000,
      default: CONFIG_DEFAULTS.rateLimit,
      description: 'Requests a minute that one client may send; 0: no limit.',
    },
    events: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.events,
      description:
        'Take notifications of registries at POST /events/registry, with the token: a tag that changed is asked for anew.',
    },
  },
} as const satisfies ObjectSchema

export const MirrorFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    enabled: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.mirrorEnabled,
      description: 'Serve /v2/ to containerd, CRI-O and Docker as a mirror of every registry.',
    },
    blobs: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      default: CONFIG_DEFAULTS.mirrorBlobs,
      description: 'Blobs that /v2/ sends at once, to all clients.',
    },
    blobsPerClient: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      default: CONFIG_DEFAULTS.mirrorBlobsPerClient,
      description: 'How many of them go to one client.',
    },
  },
} as const satisfies ObjectSchema

export const CheckFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    interval: {
      ...DURATION,
      default: CONFIG_DEFAULTS.checkInterval,
      description:
        'How often the registries are asked whether they have the images in use; 0: never.',
    },
  },
} as const satisfies ObjectSchema

export const AdmissionFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    enabled: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.admissionEnabled,
      description:
        'Serve POST /admission/pin, a webhook of Kubernetes that pins the images of pods.',
    },
    budget: {
      ...DURATION,
      default: CONFIG_DEFAULTS.admissionBudget,
      description: 'How long a pod waits for the digests of its images; 0 means the default.',
    },
    onFailure: {
      type: 'string',
      enum: ['passthrough', 'reject'],
      default: CONFIG_DEFAULTS.admissionOnFailure,
      description: 'What becomes of a pod with an image whose digest is not known in time.',
    },
  },
} as const satisfies ObjectSchema

export const PullFields = {
  type: 'object',
  additionalProperties: false,
  properties: {
    byDigest: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.pullByDigest,
      description: "Pull the digest that was resolved; false: the mirror's tag.",
    },
    skipUnchanged: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.pullSkipUnchanged,
      description:
        'Answer a pull without the runtime when the image is there and its registry says that it is unchanged.',
    },
    freshness: {
      ...DURATION,
      default: CONFIG_DEFAULTS.pullFreshness,
      description:
        'With resolvers: a pull takes an answer of theirs that a registry gave within this time; 0: none.',
    },
  },
} as const satisfies ObjectSchema
