import type { XStatic } from 'typebox/schema'
import { Attempt, Candidate } from './candidate.ts'
import { type ObjectSchema, object } from './schema.ts'

const digest = 'sha256:9d6b58feebd2dbd3c56ab5853333d627cc6e281011cfd6050fa4bcf2072c9496'
const imageId = 'sha256:e784f4560448b14a66f55c26e1b4dad2c2877cc73d001b7cd0b18e24a700a070'

/** The parameters of `GET /resolve`. Any other one is refused. */
export const ResolveQuery = {
  additionalProperties: false,
  ...object({
    ref: {
      type: 'string',
      description: 'The image, as `docker pull` takes it: `[domain/]path[:tag][@digest]`.',
      examples: ['nginx:latest'],
    },
    'platform?': {
      type: 'string',
      description: "`os/architecture[/variant]`. Default: the service's own machine.",
      examples: ['linux/arm64'],
    },
    'refresh?': {
      type: 'boolean',
      default: false,
      description: 'Ask the registries even though the cache has an answer.',
    },
    'maxAge?': {
      type: 'integer',
      minimum: 0,
      maximum: 86_400_000,
      description:
        'How many milliseconds ago a registry may have been asked at the most; adds `ageMs`. For services that ask this one.',
    },
    'explain?': {
      type: 'boolean',
      default: false,
      description:
        'Adds `attempts` and `candidates`: which registries were asked for what, what came back, and why the answer is what it is.',
    },
    'all?': {
      type: 'boolean',
      default: false,
      description: 'Ask every registry, also after one answered, and no cache; adds `candidates`.',
    },
    'node?': {
      type: 'boolean',
      default: false,
      description: 'Adds `node`: whether the runtime on this machine has the image.',
    },
  }),
} as const satisfies ObjectSchema
export type ResolveQuery = XStatic<typeof ResolveQuery>

export const Platform = {
  $id: 'Platform',
  description: 'An OCI platform.',
  ...object({
    os: { type: 'string', examples: ['linux'] },
    architecture: { type: 'string', examples: ['arm64'] },
    'variant?': { type: 'string', examples: ['v8'] },
    'assumed?': {
      type: 'boolean',
      description:
        'Present, and true, where neither an index nor the config names a platform: this is the default one, since none was asked for.',
    },
  }),
} as const satisfies ObjectSchema
export type Platform = XStatic<typeof Platform>

export const RankedReference = {
  $id: 'RankedReference',
  description: 'One reference that the image can be pulled by.',
  ...object({
    reference: { type: 'string', examples: [`docker.io/library/nginx@${digest}`] },
    kind: { type: 'string', enum: ['digest', 'tag'] },
    registry: { type: 'string', examples: ['docker.io'] },
    priority: {
      type: 'integer',
      description: "The registry's priority, 0 to 10000.",
      examples: [500],
    },
    verified: {
      type: 'boolean',
      description: 'That registry itself confirmed it; otherwise it is assumed to have it.',
    },
  }),
} as const satisfies ObjectSchema
export type RankedReference = XStatic<typeof RankedReference>

/** What the runtime on this machine has. */
export const NodeImage = {
  $id: 'NodeImage',
  description: 'What the container runtime on this machine has.',
  ...object({
    present: { type: 'boolean' },
    'imageId?': { type: 'string', description: "The runtime's own ID of the image, when present." },
  }),
} as const satisfies ObjectSchema
export type NodeImage = XStatic<typeof NodeImage>

const unknown = 'null when `source` is `node` and the runtime does not say.'

export const ResolveResponse = {
  $id: 'ResolveResponse',
  description: 'Which image a reference is, exactly, and where it can be pulled from.',
  ...object({
    requested: {
      type: 'string',
      description: 'The reference as it was asked.',
      examples: ['nginx:latest'],
    },
    reference: {
      type: 'string',
      description: 'The same, normalised; tag and digest are both kept.',
      examples: ['docker.io/library/nginx:latest'],
    },
    imageId: {
      type: 'string',
      description: "Digest of the image's config: the canonical image ID.",
      examples: [imageId],
    },
    digest: {
      type: ['string', 'null'],
      description: `What the reference points at, an index or a manifest; ${unknown}`,
      examples: [digest],
    },
    manifestDigest: {
      type: ['string', 'null'],
      description: `The manifest of this platform; ${unknown}`,
      examples: [digest],
    },
    mediaType: {
      type: ['string', 'null'],
      description: `Media type of what \`digest\` names; ${unknown}`,
      examples: ['application/vnd.oci.image.index.v1+json'],
    },
    platform: Platform,
    references: {
      type: 'array',
      items: RankedReference,
      description: 'Best first: digests before tags, verified before assumed, then by priority.',
    },
    registry: {
      type: 'string',
      description: 'The registry that answered.',
      examples: ['docker.io'],
    },
    source: {
      type: 'string',
      enum: ['registry', 'cache', 'shared', 'stale', 'node'],
      description:
        '`shared`: another node of the fleet asked a registry `ageMs` ago. `stale`: the registries are down and an expired answer is given. `node`: every registry was out of reach, and the runtime has the image; an origin at an address that this service never dials (private, and not configured) counts as out of reach, also where it is the only place.',
    },
    'ageMs?': {
      type: 'integer',
      description:
        'With `shared`: milliseconds since a registry was asked, by the clock of the store.',
      examples: [1200],
    },
    resolvedAt: {
      type: 'string',
      format: 'date-time',
      description: 'When a registry said so (RFC 3339).',
      examples: ['2026-01-31T12:00:00.000Z'],
    },
    expiresAt: {
      type: ['string', 'null'],
      format: 'date-time',
      description: 'When the answer must be asked again; null: a digest never changes.',
      examples: ['2026-01-31T12:00:00.000Z'],
    },
    'node?': NodeImage,
    'attempts?': {
      type: 'array',
      items: Attempt,
      description: 'With `explain=true`; empty when the cache answered.',
    },
    'candidates?': {
      type: 'array',
      items: Candidate,
      description:
        'With `explain=true` or `all=true`: every place where it may be, in the order of asking. For an answer of the cache, those of the resolution that it comes from; empty after a restart.',
    },
  }),
} as const satisfies ObjectSchema
export type ResolveResponse = XStatic<typeof ResolveResponse>
