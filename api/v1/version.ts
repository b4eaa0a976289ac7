import type { XStatic } from 'typebox/schema'
import type { ObjectSchema } from './schema.ts'

/** Answer of `GET /version`: which program this is. */
export const VersionResponse = {
  $id: 'VersionResponse',
  description: 'Which program this is.',
  type: 'object',
  required: ['version', 'commit', 'node'],
  properties: {
    version: { type: 'string', examples: ['1.2.3'] },
    commit: {
      type: ['string', 'null'],
      description: 'That it was built from; null where that is not known.',
    },
    node: { type: 'string', description: 'The version of Node.js.', examples: ['24.21.0'] },
  },
} as const satisfies ObjectSchema
export type VersionResponse = XStatic<typeof VersionResponse>
