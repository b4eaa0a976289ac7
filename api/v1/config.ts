import type { XStatic } from 'typebox/schema'
import {
  ADDRESS_FORMS,
  duration,
  MAX_ITEMS,
  PATH,
  POLLING,
  PROBING,
  RegistryFields,
  ResolverFields,
  SECRET,
  TIMER,
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
import { fields } from './schema.ts'

/** The configuration file: every field of an image-cri-shim.yaml, and ours. */
export const ConfigFile = fields({
  shim: {
    effect: 'restart',
    type: 'string',
    format: 'socket',
    default: '/var/run/image-cri-shim.sock',
    description: 'Our CRI socket, which kubelet is pointed at.',
  },
  cri: {
    type: 'string',
    format: 'socket',
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
    default: 1000,
    description: 'Priority of `address`; 0 means the default.',
  },
  force: {
    effect: 'restart',
    type: 'boolean',
    default: false,
    description: 'Open our socket at once, not only when the runtime answers.',
  },
  debug: {
    effect: 'restart',
    type: 'boolean',
    default: false,
    description: 'Log every request to a registry.',
  },
  image: {
    effect: 'restart',
    ...PATH,
    default: '/var/lib/image-resolver',
    description: 'Folder for what must outlive a restart.',
  },
  version: {
    effect: 'restart',
    type: 'string',
    enum: ['v1', 'v1alpha2'],
    description: 'CRI version spoken to the runtime. Absent: found out.',
  },
  timeout: {
    effect: 'restart',
    ...duration(TIMER, '15m'),
    zeroIsDefault: true,
    description: 'Limit of one image operation that brings no deadline; 0 means the default.',
  },
  reloadInterval: {
    ...duration(POLLING, '15s'),
    description: 'How often this file is read again; 0 turns it off.',
  },
  probeBudget: {
    ...duration(PROBING, '2s'),
    zeroIsDefault: true,
    description:
      'How long a registry may be silent before the next one is asked in its place; 0 means the default.',
  },
  hedgeDelay: {
    ...duration(PROBING, '300ms'),
    description:
      'After how long a silence a configured private registry is asked by HEAD beside the one before it; 0: never.',
  },
  cache: CacheFields,
  registries: {
    effect: 'anew',
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
    effect: 'anew',
    type: 'array',
    maxItems: MAX_ITEMS,
    items: { type: 'string', format: 'upstream' },
    description: `Images that come from configured registries alone, never from their origin: ${UPSTREAM_FORMS}.`,
  },
  realms: {
    effect: 'anew',
    type: 'array',
    maxItems: MAX_ITEMS,
    items: { type: 'string', format: 'realm' },
    description:
      "Token services, as host[:port], that may be on a private address without being of their registry's own site.",
  },
  hostsDir: {
    ...PATH,
    description: "Folder of containerd's HOST/hosts.toml files, read as further registries.",
  },
  portoshim: {
    ...PATH,
    description: 'A portoshim.yaml; its registries and its pause image are read.',
  },
  configMap: ConfigMapFields,
  verifyDigest: {
    effect: 'anew',
    type: 'boolean',
    default: false,
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
    default: 'passthrough',
    description: 'What becomes of a pull that nothing can be found for.',
  },
})
export type ConfigFile = XStatic<typeof ConfigFile>
