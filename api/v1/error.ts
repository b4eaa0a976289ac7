import type { XStatic } from 'typebox/schema'
import type { ObjectSchema } from './schema.ts'

/** One question to one registry, and what became of it. */
export const Attempt = {
  $id: 'Attempt',
  description: 'One question to one registry, and what became of it.',
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
      enum: ['connect', 'token', 'manifest', 'platform'],
      description: 'How far the conversation with the registry came.',
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

/** The OCI distribution error envelope (distribution-spec, "Error Codes"). */
export const ErrorResponse = {
  $id: 'ErrorResponse',
  description: 'The error envelope of the OCI distribution API.',
  type: 'object',
  required: ['errors'],
  properties: {
    errors: {
      type: 'array',
      minItems: 1,
      description: 'Always one element.',
      items: {
        type: 'object',
        required: ['code', 'message', 'detail'],
        properties: {
          code: {
            type: 'string',
            enum: [
              'NAME_INVALID',
              'PLATFORM_INVALID',
              'MANIFEST_UNKNOWN',
              'PLATFORM_UNKNOWN',
              'UNAUTHORIZED',
              'DENIED',
              'TOOMANYREQUESTS',
              'UNSUPPORTED',
              'DIGEST_INVALID',
              'MANIFEST_INVALID',
              'UNAVAILABLE',
              'DEADLINE_EXCEEDED',
              'CANCELED',
              'CONFIG_INVALID',
              'UNKNOWN',
              'REQUEST_INVALID',
              'ROUTE_UNKNOWN',
              'METHOD_UNSUPPORTED',
            ],
            description: 'Stable: decide by this, never by the message.',
          },
          message: {
            type: 'string',
            description: 'For people: what failed, where, and how to mend it.',
            examples: ['docker.io/library/nginx:nope is on none of the 2 registries asked'],
          },
          detail: {
            type: 'object',
            properties: {
              attempts: {
                type: 'array',
                items: Attempt,
                description: 'Present where registries were asked, in the order they were asked.',
              },
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectSchema
export type ErrorResponse = XStatic<typeof ErrorResponse>
