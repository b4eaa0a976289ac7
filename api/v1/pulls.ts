import type { XStatic } from 'typebox/schema'
import type { ObjectSchema } from './schema.ts'

/** How far the layers of an image are. */
export const PullLayers = {
  $id: 'PullLayers',
  description:
    "How far its layers are, as containerd's content store tells, in steps of 1 MiB. Absent with other runtimes, before the manifest is there, and for a pull that went to the runtime as it came.",
  type: 'object',
  required: ['done', 'total', 'bytes', 'totalBytes'],
  properties: {
    done: { type: 'integer', description: 'Layers that are there.' },
    total: { type: 'integer' },
    bytes: { type: 'integer', description: 'Of its layers, compressed, that are there.' },
    totalBytes: {
      type: 'integer',
      description: 'Layers that were unpacked before are not fetched again.',
    },
  },
} as const satisfies ObjectSchema
export type PullLayers = XStatic<typeof PullLayers>

/** One pull that runs. */
export const PullRecord = {
  $id: 'PullRecord',
  description: 'A pull on the CRI socket that runs.',
  type: 'object',
  required: ['reference', 'since', 'seconds', 'registry'],
  properties: {
    reference: { type: 'string', description: 'As it was asked for.' },
    since: { type: 'string', format: 'date-time' },
    seconds: { type: 'number' },
    registry: {
      type: ['string', 'null'],
      description:
        'From where the runtime pulls now; null while that is looked for, and when it got the pull as it came.',
    },
    pod: {
      type: 'object',
      description: 'For which pod; absent where the caller named none.',
      required: ['namespace', 'name'],
      properties: { namespace: { type: 'string' }, name: { type: 'string' } },
    },
    layers: PullLayers,
  },
} as const satisfies ObjectSchema
export type PullRecord = XStatic<typeof PullRecord>

/** Answer of `GET /pulls`. */
export const PullsResponse = {
  $id: 'PullsResponse',
  description: 'The pulls that run.',
  type: 'object',
  required: ['running', 'pulls'],
  properties: {
    running: { type: 'integer', description: 'How many they are.' },
    pulls: {
      type: 'array',
      items: PullRecord,
      description: 'The oldest first, at most 100.',
    },
  },
} as const satisfies ObjectSchema
export type PullsResponse = XStatic<typeof PullsResponse>
