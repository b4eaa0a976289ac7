import type { XStatic } from 'typebox/schema'
import { type ObjectSchema, object } from './schema.ts'

/** Answer of `POST /events/registry`. */
export const RegistryEventResponse = {
  $id: 'RegistryEventResponse',
  description: 'What a notification of a registry led to.',
  ...object({
    tags: {
      type: 'integer',
      description: 'Tags that changed, by the notification; 0 for a pull, a scan or a layer.',
    },
    expired: {
      type: 'integer',
      description: 'Answers that were fresh until then; their registry is asked next time.',
    },
  }),
} as const satisfies ObjectSchema
export type RegistryEventResponse = XStatic<typeof RegistryEventResponse>
