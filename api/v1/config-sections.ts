import {
  ADMITTING,
  CHECKING,
  duration,
  FILE,
  FOLDER,
  HELPER,
  KEEPING,
  MAX_ITEMS,
  SECRET,
  SECRET_FILE,
  SharedStoreFields,
  TIMER,
} from './config-registry.ts'
import { fields, type ObjectSchema } from './schema.ts'

export const CacheFields = fields({
  imageCacheSize: {
    type: 'integer',
    maximum: 1_000_000,
    default: 1024,
    description: 'Answers kept; 0 turns the cache off.',
  },
  imageCacheTTL: {
    ...duration(KEEPING, '30m'),
    description: "How long a tag's answer is kept to be confirmed with one HEAD.",
  },
  domainCacheTTL: {
    ...duration(KEEPING, '10m'),
    description: 'Accepted for existing files; which registries serve a domain is never stale.',
  },
  statsLogInterval: {
    effect: 'restart',
    ...duration(TIMER, '1m'),
    description: 'How often the log gets the number of resolutions by source; 0 turns it off.',
  },
  disableStats: {
    effect: 'restart',
    type: 'boolean',
    default: false,
    description: 'Never write those numbers to the log.',
  },
  tagTTL: {
    ...duration(KEEPING, '1m'),
    description: "How long a tag's answer is given without asking its registry again.",
  },
  negativeTTL: {
    ...duration(KEEPING, '10s'),
    description: 'How long "no registry has it" is believed; 0: never.',
  },
  staleIfError: {
    ...duration(KEEPING, '24h'),
    description: 'How old an answer may be that is given when no registry answers; 0: never.',
  },
  shared: SharedStoreFields,
})

export const KeychainFields = {
  effect: 'anew',
  ...fields({
    dockerConfigs: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: SECRET_FILE,
      description: "Docker's config.json or podman's auth.json files, in the order of asking.",
    },
    pullSecrets: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: SECRET_FILE,
      description: '.dockerconfigjson secrets as files, matched as the kubelet matches them.',
    },
    credentialProviders: {
      type: 'object',
      optional: true,
      additionalProperties: false,
      required: ['config', 'binDir'],
      properties: {
        config: {
          ...FILE,
          description: "The kubelet's --image-credential-provider-config.",
        },
        binDir: {
          ...FOLDER,
          description: "The kubelet's --image-credential-provider-bin-dir.",
        },
      },
    },
    helperTimeout: {
      ...duration(HELPER, '10s'),
      zeroIsDefault: true,
      description: 'Limit of one run of a credential helper or provider; 0 means the default.',
    },
  }),
} as const satisfies ObjectSchema

export const ConfigMapFields = {
  optional: true,
  ...fields({
    name: {
      type: 'string',
      format: 'configMapName',
      default: 'kube-system/image-cri-shim',
      description: 'NAMESPACE/NAME of the ConfigMap.',
    },
    key: {
      type: 'string',
      format: 'configMapKey',
      default: 'registries.yaml',
      description: 'The field of its data that is read.',
    },
    kubeconfig: {
      ...SECRET_FILE,
      description: "A kubeconfig file. Absent: the pod's service account.",
    },
  }),
} as const satisfies ObjectSchema

export const ProxyFields = {
  effect: 'anew',
  optional: true,
  ...fields({
    http: {
      ...SECRET,
      format: 'proxy',
      description: 'Proxy for registries that are asked over http.',
    },
    https: {
      ...SECRET,
      format: 'proxy',
      description: 'Proxy for registries that are asked over https.',
    },
    no: { type: 'string', description: 'Hosts that are asked directly, with commas between.' },
  }),
} as const satisfies ObjectSchema

export const HttpFields = {
  effect: 'restart',
  ...fields({
    listen: {
      type: 'string',
      format: 'listen',
      orNumber: true,
      default: '127.0.0.1:9430',
      description: 'host:port (port 0: any free one) or unix:///path of the HTTP API.',
    },
    token: {
      ...SECRET,
      format: 'token',
      description:
        'Bearer token for what changes something, and for everything where listen is not loopback.',
    },
    tokenFile: {
      ...SECRET_FILE,
      description: 'A file that holds the token; read again when it changes.',
    },
    tls: {
      type: 'object',
      optional: true,
      additionalProperties: false,
      required: ['cert', 'key'],
      properties: {
        cert: { ...FILE, description: 'A PEM file with the certificate of the HTTP API.' },
        key: { ...SECRET_FILE, description: 'A PEM file with its key.' },
      },
    },
    rateLimit: {
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000,
      default: 0,
      description: 'Requests a minute that one client may send; 0: no limit.',
    },
    events: {
      type: 'boolean',
      default: false,
      description:
        'Take notifications of registries at POST /events/registry, with the token: a tag that changed is asked for anew.',
    },
  }),
} as const satisfies ObjectSchema

export const MirrorFields = {
  effect: 'restart',
  ...fields({
    enabled: {
      type: 'boolean',
      default: false,
      description: 'Serve /v2/ to containerd, CRI-O and Docker as a mirror of every registry.',
    },
    blobs: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      default: 96,
      description: 'Blobs that /v2/ sends at once, to all clients.',
    },
    blobsPerClient: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      default: 24,
      description: 'How many of them go to one client.',
    },
  }),
} as const satisfies ObjectSchema

export const CheckFields = {
  effect: 'restart',
  ...fields({
    interval: {
      ...duration(CHECKING, '0s'),
      description:
        'How often the registries are asked whether they have the images in use; 0: never.',
    },
  }),
} as const satisfies ObjectSchema

export const AdmissionFields = {
  effect: 'restart',
  ...fields({
    enabled: {
      type: 'boolean',
      default: false,
      description:
        'Serve POST /admission/pin, a webhook of Kubernetes that pins the images of pods.',
    },
    budget: {
      ...duration(ADMITTING, '1s'),
      zeroIsDefault: true,
      description: 'How long a pod waits for the digests of its images; 0 means the default.',
    },
    onFailure: {
      type: 'string',
      enum: ['passthrough', 'reject'],
      default: 'passthrough',
      description:
        'What becomes of a pod when the digest of one of its images is not known in time.',
    },
  }),
} as const satisfies ObjectSchema

export const PullFields = fields({
  byDigest: {
    type: 'boolean',
    default: true,
    description: "Pull the digest that was resolved; false: the mirror's tag.",
  },
  skipUnchanged: {
    type: 'boolean',
    default: true,
    description:
      'Answer a pull without the runtime when the image is there and its registry says that it is unchanged.',
  },
  freshness: {
    ...duration(KEEPING, '5s'),
    description:
      'With resolvers: a pull takes an answer of theirs that a registry gave within this time; 0: none.',
  },
})
