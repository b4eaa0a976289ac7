import type { XStatic } from 'typebox/schema'
import { CONFIG_DEFAULTS } from './config-defaults.ts'
import {
  ADDRESS_FORMS,
  DURATION,
  MAX_ITEMS,
  RegistryFields,
  ResolverFields,
  SECRET,
  UPSTREAM_FORMS,
} from './config-registry.ts'
import {
  AdmissionFields,
  CacheFields,
  CheckFields,
  ConfigMapFields,
  HttpFields,
  KeychainFields,
  MirrorFields,
  ProxyFields,
  PullFields,
} from './config-sections.ts'
import type { ObjectSchema } from './schema.ts'

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
      orNumber: true,
      description: `The offline registry, which wins ties: ${ADDRESS_FORMS}.`,
    },
    auth: { ...SECRET, description: 'user:password for `address`, cut at the first colon.' },
    ca: RegistryFields.properties.ca,
    cert: RegistryFields.properties.cert,
    key: RegistryFields.properties.key,
    insecureSkipVerify: RegistryFields.properties.insecureSkipVerify,
    plainHttp: RegistryFields.properties.plainHttp,
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
      description: 'Log every request to a registry.',
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
      ...DURATION,
      default: CONFIG_DEFAULTS.timeout,
      description: 'Limit of one image operation that brings no deadline; 0 means the default.',
    },
    reloadInterval: {
      ...DURATION,
      default: CONFIG_DEFAULTS.reloadInterval,
      description: 'How often this file is read again; 0 turns it off.',
    },
    probeBudget: {
      ...DURATION,
      default: CONFIG_DEFAULTS.probeBudget,
      description:
        'How long a registry may be silent before the next one is asked in its place; 0 means the default.',
    },
    hedgeDelay: {
      ...DURATION,
      default: CONFIG_DEFAULTS.hedgeDelay,
      description:
        'After how long a silence a configured private registry is asked by HEAD beside the one before it; 0: never.',
    },
    cache: CacheFields,
    registries: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: RegistryFields,
      description: 'Registries beside `address`.',
    },
    resolvers: {
      type: 'array',
      maxItems: 16,
      items: ResolverFields,
      description:
        'Other services like this one, asked in this order before any registry; the registries when they are gone.',
    },
    mirrorsOnly: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: { type: 'string' },
      description: `Images that come from configured registries alone, never from their origin: ${UPSTREAM_FORMS}.`,
    },
    realms: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: { type: 'string' },
      description:
        "Token services, as host[:port], that may be on a private address without being of their registry's own site.",
    },
    hostsDir: {
      type: 'string',
      description: "Folder of containerd's HOST/hosts.toml files, read as further registries.",
    },
    portoshim: {
      type: 'string',
      description: 'A portoshim.yaml, whose registries and pause image are read.',
    },
    configMap: ConfigMapFields,
    verifyDigest: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.verifyDigest,
      description: 'Ask by digest once more before a registry counts as one that has an image.',
    },
    keychain: KeychainFields,
    proxy: ProxyFields,
    http: HttpFields,
    mirror: MirrorFields,
    pull: PullFields,
    check: CheckFields,
    admission: AdmissionFields,
    onResolveError: {
      type: 'string',
      enum: ['passthrough', 'reject'],
      default: CONFIG_DEFAULTS.onResolveError,
      description: 'What becomes of a pull that nothing can be found for.',
    },
  },
} as const satisfies ObjectSchema
export type ConfigFile = XStatic<typeof ConfigFile>
