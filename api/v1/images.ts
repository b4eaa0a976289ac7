import type { XStatic } from 'typebox/schema'
import { Attempt } from './attempt.ts'
import { PullLayers } from './pulls.ts'
import type { ObjectSchema } from './schema.ts'

/** An image that the runtime of this machine has. */
export const ImageRecord = {
  $id: 'ImageRecord',
  description: 'An image that the container runtime of this machine has.',
  type: 'object',
  required: ['imageId', 'references', 'sizeBytes', 'pinned'],
  properties: {
    imageId: { type: 'string', description: "The runtime's own ID of the image." },
    references: {
      type: 'array',
      items: { type: 'string' },
      description: 'Every name it has, digests before tags.',
    },
    sizeBytes: { type: 'number', description: 'As the runtime counts them.' },
    pinned: { type: 'boolean', description: 'Never collected by the kubelet.' },
  },
} as const satisfies ObjectSchema
export type ImageRecord = XStatic<typeof ImageRecord>

/** Answer of `GET /images`. */
export const ImagesResponse = {
  $id: 'ImagesResponse',
  description: 'The images of this machine.',
  type: 'object',
  required: ['images'],
  properties: { images: { type: 'array', items: ImageRecord } },
} as const satisfies ObjectSchema
export type ImagesResponse = XStatic<typeof ImagesResponse>

/** Body of `POST /images/pull`. */
export const PullRequest = {
  $id: 'PullRequest',
  description: 'What to pull, as a kubelet without credentials does.',
  type: 'object',
  additionalProperties: false,
  required: ['reference'],
  properties: {
    reference: { type: 'string', examples: ['nginx:latest'] },
  },
} as const satisfies ObjectSchema
export type PullRequest = XStatic<typeof PullRequest>

/** Data of the server-sent events of `POST /images/pull`; the event's name is `state`. */
export const PullEvent = {
  $id: 'PullEvent',
  description:
    'Of the server-sent events `pulling` (at once, then every second), `pulled`, `failed`.',
  type: 'object',
  required: ['state', 'reference', 'seconds'],
  properties: {
    state: { type: 'string', enum: ['pulling', 'pulled', 'failed'] },
    reference: { type: 'string' },
    seconds: { type: 'number', description: 'Since the beginning.' },
    layers: PullLayers,
    imageId: { type: 'string', description: "When pulled: the runtime's own ID of the image." },
    error: {
      type: 'object',
      description: 'When failed.',
      required: ['code', 'message'],
      properties: {
        code: { type: 'string' },
        message: { type: 'string' },
        attempts: {
          type: 'array',
          items: Attempt,
          description: 'What each registry said, where registries were asked.',
        },
      },
    },
  },
} as const satisfies ObjectSchema
export type PullEvent = XStatic<typeof PullEvent>
