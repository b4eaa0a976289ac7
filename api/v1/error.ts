import type { XStatic } from 'typebox/schema'
import { Attempt } from './attempt.ts'
import { Candidate } from './candidate.ts'
import type { ObjectSchema } from './schema.ts'

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
              candidates: {
                type: 'array',
                items: Candidate,
                description:
                  'With `explain` or `all`, where registries were asked: the whole story.',
              },
            },
          },
        },
      },
    },
  },
} as const satisfies ObjectSchema
export type ErrorResponse = XStatic<typeof ErrorResponse>
