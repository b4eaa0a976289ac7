import type { XStatic } from 'typebox/schema'
import { type ObjectSchema, object } from './schema.ts'

export const CheckedPlace = {
  $id: 'CheckedPlace',
  description: 'What one registry says of an image.',
  ...object({
    registry: { type: 'string', description: 'Name of the registry, as in `GET /registries`.' },
    reference: { type: 'string', description: 'What was asked for there.' },
    origin: { type: 'boolean', description: 'The registry that the reference itself names.' },
    configured: { type: 'boolean' },
    state: {
      type: 'string',
      enum: ['present', 'absent', 'denied', 'unknown'],
      description: '`unknown`: it did not answer, or not with yes or no.',
    },
    'digest?': { type: 'string', description: 'With `present`.' },
    'askedAt?': {
      type: 'string',
      format: 'date-time',
      description: 'When another node of the fleet asked it (RFC 3339); absent: this node did.',
    },
    'error?': {
      description: 'With `denied` and `unknown`.',
      ...object({ code: { type: 'string' }, message: { type: 'string' } }),
    },
  }),
} as const satisfies ObjectSchema

/** Where an image can be pulled from, all places taken together. */
export const AVAILABILITIES = [
  /** At every place. */
  'everywhere',
  /** At its origin and at some configured registries, not at all. */
  'partly',
  /** At configured registries, not at its origin. */
  'private-only',
  /** At its origin, at no configured registry. */
  'origin-only',
  /** At no registry; this node has it, and another one would not get it. */
  'node-only',
  /** At no registry: each said so. */
  'gone',
  /** At no registry that may be asked with the credentials that there are. */
  'denied',
  /** A tag that points at different images at different places. */
  'different',
  /** A registry did not answer, and what the others say is not enough. */
  'unknown',
] as const
export type Availability = (typeof AVAILABILITIES)[number]

/** One image in use. */
export const CheckedImage = {
  $id: 'CheckedImage',
  description: 'Where an image that pods of this node use can be pulled from.',
  ...object({
    reference: { type: 'string' },
    state: {
      type: 'string',
      enum: AVAILABILITIES,
      description:
        '`node-only`, `gone` and `denied` would not start on another node; `different`: its tag points at different images.',
    },
    'movedTo?': {
      type: 'string',
      description: 'What its tag points at now, where the node has another image by it.',
    },
    places: { type: 'array', items: CheckedPlace },
  }),
} as const satisfies ObjectSchema
export type CheckedImage = XStatic<typeof CheckedImage>

/** Answer of `GET /check`. */
export const CheckResponse = {
  $id: 'CheckResponse',
  description: 'The last check of the images in use, which `check.interval` asks for.',
  ...object({
    enabled: { type: 'boolean', description: 'Whether `check.interval` is set.' },
    checkedAt: {
      type: ['string', 'null'],
      format: 'date-time',
      description: 'When that check ended (RFC 3339); null: none has yet.',
    },
    'error?': { type: 'string', description: 'Why the last one could not be made.' },
    images: { type: 'array', items: CheckedImage },
  }),
} as const satisfies ObjectSchema
export type CheckResponse = XStatic<typeof CheckResponse>
