import type { XStatic } from 'typebox/schema'
import { CONFIG_DEFAULTS } from './config-defaults.ts'
import type { ObjectSchema } from './schema.ts'

/** `5s`, or `0`. */
export const DURATION = { type: 'string', orNumber: true } as const
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
      type: 'string',
      description: 'A file that holds the password of username; read again when it changes.',
    },
    identityToken: {
      ...SECRET,
      description: "A token that the registry's token service exchanges, as docker login keeps it.",
    },
    tokenFile: {
      type: 'string',
      description: 'A file that holds the identity token; read again when it changes.',
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
      description: `Whose images this registry serves: ${UPSTREAM_FORMS}. Absent: a private registry serves every domain, a well-known public one only its own, a well-known public mirror what it is a mirror of.`,
    },
    path: {
      type: 'string',
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
      default: CONFIG_DEFAULTS.trusted,
      description:
        'false: it serves a pod that brings a secret only after the origin accepted that secret.',
    },
    ca: {
      type: 'string',
      description: 'A PEM file of authorities that are believed here beside the well-known ones.',
    },
    cert: { type: 'string', description: "A PEM file with the client's own certificate." },
    key: { type: 'string', description: 'A PEM file with the key of cert.' },
    insecureSkipVerify: {
      type: 'boolean',
      default: CONFIG_DEFAULTS.insecureSkipVerify,
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
      type: 'string',
      description: 'A PEM file of authorities that are believed there beside the well-known ones.',
    },
    tokenFile: {
      type: 'string',
      description: 'A file that holds its http.token; read again when it changes.',
    },
  },
} as const satisfies ObjectSchema
