import type { XStatic } from 'typebox/schema'
import type { ObjectSchema } from './schema.ts'

/** The attempt at one registry, and its outcome. */
export const Attempt = {
  $id: 'Attempt',
  description: 'The attempt at one registry, and its outcome.',
  type: 'object',
  required: ['registry', 'step', 'outcome', 'ms'],
  properties: {
    registry: {
      type: 'string',
      description: 'Name of the registry as configured, or the domain of the reference.',
      examples: ['harbor.corp'],
    },
    step: {
      type: 'string',
      enum: ['connect', 'token', 'manifest', 'platform', 'pull'],
      description:
        'The step at which it ended; `pull`: the container runtime pulled from the registry.',
    },
    outcome: {
      type: 'string',
      enum: [
        'ok',
        'not_found',
        'unauthorized',
        'denied',
        'rate_limited',
        'unsupported',
        'invalid',
        'unreachable',
        'server_error',
        'timeout',
        'canceled',
        'skipped',
      ],
      description: '`skipped`: not asked; `message` says why.',
    },
    status: {
      type: 'integer',
      description: 'HTTP status, when the registry answered.',
      examples: [404],
    },
    ms: { type: 'number', description: 'How long it took, in milliseconds.', examples: [12.4] },
    message: { type: 'string', description: 'One line for people; never holds a secret.' },
  },
} as const satisfies ObjectSchema
export type Attempt = XStatic<typeof Attempt>
