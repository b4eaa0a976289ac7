import type { XStatic } from 'typebox/schema'
import { type DurationRange, fields, type ObjectSchema } from './schema.ts'

/** `5s`, or `0`. @param fallback the default */
export function duration<const Text extends string>(range: DurationRange, fallback: Text) {
  return { type: 'string', orNumber: true, format: 'duration', range, default: fallback } as const
}
const HOUR_MS = 3_600_000
/** setTimeout runs at once what is more than 24.8 days (2^31 ms) away. */
export const TIMER = { leastMs: 1, mostMs: 576 * HOUR_MS } as const
export const KEEPING = { leastMs: 1, mostMs: 8760 * HOUR_MS } as const
export const POLLING = { leastMs: 100, mostMs: TIMER.mostMs } as const
/** The API server waits ten seconds for a webhook, and thirty at most. */
export const ADMITTING = { leastMs: 10, mostMs: 25_000 } as const
/** Registries count requests, and a tag that is gone today was there yesterday. */
export const CHECKING = { leastMs: 60_000, mostMs: TIMER.mostMs } as const
/** More than one whole resolution may take would never be over. */
export const PROBING = { leastMs: 10, mostMs: 20_000 } as const
/** How long a lookup may wait for the shared store: beyond a second it would cost more than a registry. */
const STORE_BUDGET = { leastMs: 1, mostMs: 1_000 } as const
/** A helper that needs minutes keeps every pull of its registry waiting for them. */
export const HELPER = { leastMs: 100, mostMs: HOUR_MS / 6 } as const

/** Absolute paths; of the last three `config check` says whether they are there. */
export const PATH = { type: 'string', format: 'path' } as const
export const FILE = { type: 'string', format: 'file' } as const
export const FOLDER = { type: 'string', format: 'folder' } as const
export const SECRET_FILE = { type: 'string', format: 'secretFile' } as const
/** What is a secret, or may hold one. One of digits alone is taken as it is written. */
export const SECRET = { type: 'string', writeOnly: true, orNumber: true } as const

/** Lists are bounded, so that a file of a megabyte cannot mean a million registries. */
export const MAX_ITEMS = 256

export const ADDRESS_FORMS =
  'host[:port][/prefix], with http:// or https:// before it; without: https, on loopback http'

export const UPSTREAM_FORMS =
  'docker.io (a domain), *.corp (its subdomains) or quay.io/team (what begins with that path)'

/** One entry of `registries:`. */
export const RegistryFields = {
  type: 'object',
  additionalProperties: false,
  required: ['address'],
  properties: {
    address: {
      type: 'string',
      orNumber: true,
      description: `Where the registry is: ${ADDRESS_FORMS}.`,
    },
    auth: {
      ...SECRET,
      description: 'user:password for this registry alone, cut at the first colon.',
    },
    username: {
      type: 'string',
      orNumber: true,
      description: 'With password or passwordFile, instead of auth.',
    },
    password: { ...SECRET, description: 'The password of username.' },
    passwordFile: {
      ...SECRET_FILE,
      description: 'A file that holds the password of username; read again when it changes.',
    },
    identityToken: {
      ...SECRET,
      format: 'token',
      description: "A token that the registry's token service exchanges, as docker login keeps it.",
    },
    tokenFile: {
      ...SECRET_FILE,
      description: 'A file that holds the identity token; read again when it changes.',
    },
    priority: {
      type: 'integer',
      default: 500,
      description: 'Higher is asked first; 0 to 10000, beyond that clamped with a warning.',
    },
    upstreams: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_ITEMS,
      items: { type: 'string', format: 'upstream' },
      description: `The images that this registry serves: ${UPSTREAM_FORMS}. Absent: a private registry serves every domain, a well-known public one only its own, a well-known public mirror what it is a mirror of.`,
    },
    path: {
      type: 'string',
      format: 'pathTemplate',
      description:
        'Repository below the prefix, of {domain} and {path} of what is asked for. Absent: {path}.',
    },
    capabilities: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_ITEMS,
      items: { type: 'string', enum: ['resolve', 'pull'] },
      description:
        'What it may be asked for: to resolve a tag, to pull from it by digest. Absent: both.',
    },
    trusted: {
      type: 'boolean',
      default: true,
      description:
        'false: it serves a pod that brings a secret only after the origin accepted that secret.',
    },
    ca: {
      ...FILE,
      description: 'A PEM file of authorities that are believed here beside the well-known ones.',
    },
    cert: { ...FILE, description: "A PEM file with the client's own certificate." },
    key: { ...SECRET_FILE, description: 'A PEM file with the key of cert.' },
    insecureSkipVerify: {
      type: 'boolean',
      default: false,
      description: 'Believe any certificate of this registry.',
    },
    plainHttp: {
      type: 'boolean',
      description: 'The scheme of an address without one: true http, false https.',
    },
  },
} as const satisfies ObjectSchema
export type RegistryFields = XStatic<typeof RegistryFields>

/** One entry of `resolvers:`. */
export const ResolverFields = {
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  shorthand: 'url',
  properties: {
    url: {
      type: 'string',
      description: 'Where the HTTP API of that service is: https://host[:port].',
    },
    ca: {
      ...FILE,
      description: 'A PEM file of authorities that are believed there beside the well-known ones.',
    },
    tokenFile: {
      ...SECRET_FILE,
      description: 'A file that holds its http.token; read again when it changes.',
    },
  },
} as const satisfies ObjectSchema

/** `cache.shared:`. */
export const SharedStoreFields = {
  type: 'object',
  optional: true,
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
      format: 'fileUrl',
      description: 'file:/path of a secret that all nodes have, which entries are signed with.',
    },
    freshness: {
      ...duration(KEEPING, '5s'),
      description:
        'A pull takes an answer that any node got from the registry within this time; 0: never.',
    },
    budget: {
      ...duration(STORE_BUDGET, '50ms'),
      zeroIsDefault: true,
      description: 'How long a lookup waits for the store; 0 means the default.',
    },
    username: { type: 'string', description: 'With passwordFile. Absent: the default user.' },
    passwordFile: { ...SECRET_FILE, description: 'A file that holds the password of the store.' },
    addresses: {
      type: 'array',
      maxItems: MAX_ITEMS,
      items: { type: 'string', format: 'network' },
      description: 'Hosts and networks that sentinels or a cluster may name beside those of url.',
    },
    sentinelPasswordFile: { ...SECRET_FILE, description: 'The password of the sentinels.' },
    tls: {
      optional: true,
      ...fields({
        ca: { ...FILE, description: 'A PEM file of the authorities that are believed.' },
        cert: { ...FILE, description: 'A PEM file with the client certificate.' },
        key: { ...SECRET_FILE, description: 'A PEM file with its key.' },
      }),
    },
  },
} as const satisfies ObjectSchema
