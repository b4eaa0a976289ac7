import { type Static, Type } from 'typebox'
import type { Attempt } from './error.ts'

const digest = 'sha256:9d6b58feebd2dbd3c56ab5853333d627cc6e281011cfd6050fa4bcf2072c9496'
const imageId = 'sha256:e784f4560448b14a66f55c26e1b4dad2c2877cc73d001b7cd0b18e24a700a070'

/** Of `GET /resolve`. A parameter that is not listed here is refused. */
export const ResolveQuery = Type.Object(
  {
    ref: Type.String({
      description: 'The image, as `docker pull` takes it: `[domain/]path[:tag][@digest]`.',
      examples: ['nginx:latest'],
    }),
    platform: Type.Optional(
      Type.String({
        description: "`os/architecture[/variant]`. Default: the service's own machine.",
        examples: ['linux/arm64'],
      }),
    ),
    refresh: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Ask the registries even though the cache has an answer.',
      }),
    ),
    explain: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Adds `attempts`: which registries were asked, and what they said.',
      }),
    ),
    node: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Adds `node`: whether the runtime on this machine has the image.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type ResolveQuery = Static<typeof ResolveQuery>

/** An OCI platform. */
export const Platform = Type.Object(
  {
    os: Type.String({ examples: ['linux'] }),
    architecture: Type.String({ examples: ['arm64'] }),
    variant: Type.Optional(Type.String({ examples: ['v8'] })),
  },
  { $id: 'Platform', description: 'An OCI platform.' },
)
export type Platform = Static<typeof Platform>

/** One reference that the image can be pulled by. */
export const RankedReference = Type.Object(
  {
    reference: Type.String({ examples: [`docker.io/library/nginx@${digest}`] }),
    kind: Type.Enum(['digest', 'tag'], { type: 'string' }),
    registry: Type.String({ examples: ['docker.io'] }),
    priority: Type.Integer({
      description: "The registry's priority, 0 to 10000.",
      examples: [500],
    }),
    verified: Type.Boolean({
      description: 'That registry itself confirmed it; otherwise it is assumed to have it.',
    }),
  },
  { $id: 'RankedReference', description: 'One reference that the image can be pulled by.' },
)
export type RankedReference = Static<typeof RankedReference>

/** What the runtime on this machine has. */
export const NodeImage = Type.Object(
  {
    present: Type.Boolean(),
    imageId: Type.Optional(
      Type.String({ description: "The runtime's own ID of the image, when present." }),
    ),
  },
  { $id: 'NodeImage', description: 'What the container runtime on this machine has.' },
)
export type NodeImage = Static<typeof NodeImage>

const timestamp = { format: 'date-time', examples: ['2026-01-31T12:00:00.000Z'] }
const unknown = 'null when `source` is `node` and the runtime does not say.'

/** Which image a reference is, exactly, and where it can be pulled from. */
export const ResolveResponse = Type.Object(
  {
    requested: Type.String({
      description: 'The reference as it was asked.',
      examples: ['nginx:latest'],
    }),
    reference: Type.String({
      description: 'The same, normalised; tag and digest are both kept.',
      examples: ['docker.io/library/nginx:latest'],
    }),
    imageId: Type.String({
      description: "Digest of the image's config: the canonical image ID.",
      examples: [imageId],
    }),
    digest: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: `What the reference points at, an index or a manifest; ${unknown}`,
      examples: [digest],
    }),
    manifestDigest: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: `The manifest of this platform; ${unknown}`,
      examples: [digest],
    }),
    mediaType: Type.Unsafe<string | null>({
      type: ['string', 'null'],
      description: `Media type of what \`digest\` names; ${unknown}`,
      examples: ['application/vnd.oci.image.index.v1+json'],
    }),
    platform: Type.Unsafe<Platform>(Type.Ref('Platform')),
    references: Type.Array(Type.Unsafe<RankedReference>(Type.Ref('RankedReference')), {
      description: 'Best first: digests before tags, verified before assumed, then by priority.',
    }),
    registry: Type.String({
      description: 'The registry that answered.',
      examples: ['docker.io'],
    }),
    source: Type.Enum(['registry', 'cache', 'stale', 'node'], {
      type: 'string',
      description:
        '`stale`: the registries are down and an expired answer is given. `node`: every registry failed and the runtime has the image.',
    }),
    resolvedAt: Type.String({ ...timestamp, description: 'When a registry said so (RFC 3339).' }),
    expiresAt: Type.Unsafe<string | null>({
      ...timestamp,
      type: ['string', 'null'],
      description: 'When the answer must be asked again; null: a digest never changes.',
    }),
    node: Type.Optional(Type.Unsafe<NodeImage>(Type.Ref('NodeImage'))),
    attempts: Type.Optional(
      Type.Array(Type.Unsafe<Attempt>(Type.Ref('Attempt')), {
        description: 'With `explain=true`; empty when the cache answered.',
      }),
    ),
  },
  {
    $id: 'ResolveResponse',
    description: 'Which image a reference is, exactly, and where it can be pulled from.',
  },
)
export type ResolveResponse = Static<typeof ResolveResponse>
