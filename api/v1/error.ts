import { type Static, Type } from 'typebox'

/** One question to one registry, and what became of it. */
export const Attempt = Type.Object(
  {
    registry: Type.String({
      description: 'Name of the registry as configured, or the domain of the reference.',
      examples: ['harbor.corp'],
    }),
    step: Type.Enum(['connect', 'token', 'manifest', 'platform'], {
      type: 'string',
      description: 'How far the conversation with the registry came.',
    }),
    outcome: Type.Enum(
      [
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
      { type: 'string', description: '`skipped`: not asked; `message` says why.' },
    ),
    status: Type.Optional(
      Type.Integer({ description: 'HTTP status, when the registry answered.', examples: [404] }),
    ),
    ms: Type.Number({ description: 'How long it took, in milliseconds.', examples: [12.4] }),
    message: Type.Optional(
      Type.String({ description: 'One line for people; never holds a secret.' }),
    ),
  },
  { $id: 'Attempt', description: 'One question to one registry, and what became of it.' },
)
export type Attempt = Static<typeof Attempt>

/** The OCI distribution error envelope (distribution-spec, "Error Codes"). */
export const ErrorResponse = Type.Object(
  {
    errors: Type.Array(
      Type.Object({
        code: Type.Enum(
          [
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
          { type: 'string', description: 'Stable: decide by this, never by the message.' },
        ),
        message: Type.String({
          description: 'For people: what failed, where, and how to mend it.',
          examples: ['docker.io/library/nginx:nope is on none of the 2 registries asked'],
        }),
        detail: Type.Object({
          attempts: Type.Optional(
            Type.Array(Type.Unsafe<Attempt>(Type.Ref('Attempt')), {
              description: 'Present where registries were asked, in the order they were asked.',
            }),
          ),
        }),
      }),
      { minItems: 1, description: 'Always one element.' },
    ),
  },
  { $id: 'ErrorResponse', description: 'The error envelope of the OCI distribution API.' },
)
export type ErrorResponse = Static<typeof ErrorResponse>
