import type { XStatic } from 'typebox/schema'
import { Attempt } from './candidate.ts'
import { type ObjectSchema, object } from './schema.ts'

/** How far the layers of an image are. */
export const PullLayers = {
  $id: 'PullLayers',
  description:
    "How far its layers are, as containerd's content store tells, in steps of 1 MiB. Absent with other runtimes, before the manifest is there, and for a pull that went to the runtime as it came.",
  ...object({
    done: { type: 'integer', description: 'Layers that are there.' },
    total: { type: 'integer' },
    bytes: { type: 'integer', description: 'Of its layers, compressed, that are there.' },
    totalBytes: {
      type: 'integer',
      description: 'Layers that were unpacked before are not fetched again.',
    },
  }),
} as const satisfies ObjectSchema
export type PullLayers = XStatic<typeof PullLayers>

/** One pull that runs. */
export const PullRecord = {
  $id: 'PullRecord',
  description: 'A pull on the CRI socket that runs.',
  ...object({
    reference: { type: 'string', description: 'As it was asked for.' },
    since: { type: 'string', format: 'date-time' },
    seconds: { type: 'number' },
    registry: {
      type: ['string', 'null'],
      description:
        'From where the runtime pulls now; null while that is looked for, and when it got the pull as it came.',
    },
    'pod?': {
      description: 'For which pod; absent where the caller named none.',
      ...object({ namespace: { type: 'string' }, name: { type: 'string' } }),
    },
    'layers?': PullLayers,
  }),
} as const satisfies ObjectSchema
export type PullRecord = XStatic<typeof PullRecord>

/** Answer of `GET /pulls`. */
export const PullsResponse = {
  $id: 'PullsResponse',
  description: 'The pulls that run.',
  ...object({
    running: { type: 'integer', description: 'How many they are.' },
    pulls: {
      type: 'array',
      items: PullRecord,
      description: 'The oldest first, at most 100.',
    },
  }),
} as const satisfies ObjectSchema
export type PullsResponse = XStatic<typeof PullsResponse>

/** An image that the runtime of this machine has. */
export const ImageRecord = {
  $id: 'ImageRecord',
  description: 'An image that the container runtime of this machine has.',
  ...object({
    imageId: { type: 'string', description: "The runtime's own ID of the image." },
    references: {
      type: 'array',
      items: { type: 'string' },
      description: 'Every name it has, digests before tags.',
    },
    sizeBytes: { type: 'number', description: 'As the runtime counts them.' },
    pinned: { type: 'boolean', description: 'Never collected by the kubelet.' },
  }),
} as const satisfies ObjectSchema
export type ImageRecord = XStatic<typeof ImageRecord>

/** Answer of `GET /images`. */
export const ImagesResponse = {
  $id: 'ImagesResponse',
  description: 'The images of this machine.',
  ...object({ images: { type: 'array', items: ImageRecord } }),
} as const satisfies ObjectSchema
export type ImagesResponse = XStatic<typeof ImagesResponse>

/** Body of `POST /images/pull`. */
export const PullRequest = {
  $id: 'PullRequest',
  description: 'What to pull, as a kubelet without credentials does.',
  additionalProperties: false,
  ...object({
    reference: { type: 'string', examples: ['nginx:latest'] },
  }),
} as const satisfies ObjectSchema
export type PullRequest = XStatic<typeof PullRequest>

/** Data of the server-sent events of `POST /images/pull`; the event's name is `state`. */
export const PullEvent = {
  $id: 'PullEvent',
  description:
    'Of the server-sent events `pulling` (at once, then every second), `pulled`, `failed`.',
  ...object({
    state: { type: 'string', enum: ['pulling', 'pulled', 'failed'] },
    reference: { type: 'string' },
    seconds: { type: 'number', description: 'Since the beginning.' },
    'layers?': PullLayers,
    'imageId?': { type: 'string', description: "When pulled: the runtime's own ID of the image." },
    'error?': {
      description: 'When failed.',
      ...object({
        code: { type: 'string' },
        message: { type: 'string' },
        'attempts?': {
          type: 'array',
          items: Attempt,
          description: 'What each registry said, where registries were asked.',
        },
      }),
    },
  }),
} as const satisfies ObjectSchema
export type PullEvent = XStatic<typeof PullEvent>
