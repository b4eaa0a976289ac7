import type { XStatic } from 'typebox/schema'
import { type ObjectSchema, object } from './schema.ts'

export const LiveResponse = {
  $id: 'LiveResponse',
  description: 'The process answers.',
  ...object({
    status: { type: 'string', const: 'live' },
  }),
} as const satisfies ObjectSchema
export type LiveResponse = XStatic<typeof LiveResponse>

/** Which servers the configuration asks for, and which of them are open. */
export const ReadyResponse = {
  $id: 'ReadyResponse',
  description: 'Which servers are asked for, and which are open.',
  ...object({
    status: {
      type: 'string',
      enum: ['ready', 'not_ready'],
      description: '`ready` when every server is open.',
    },
    doors: {
      type: 'array',
      description: 'Every server that the configuration asks for.',
      items: object({
        door: { type: 'string', examples: ['cri'] },
        open: { type: 'boolean' },
        'reason?': {
          type: 'string',
          description: 'Why it is closed.',
          examples: ['the runtime at /run/containerd/containerd.sock does not answer'],
        },
      }),
    },
  }),
} as const satisfies ObjectSchema
export type ReadyResponse = XStatic<typeof ReadyResponse>
