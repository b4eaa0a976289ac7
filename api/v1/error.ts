import type { XStatic } from 'typebox/schema'
import { Attempt, Candidate } from './candidate.ts'
import { type ObjectSchema, object } from './schema.ts'

/** What the registry has, although it is no image. */
export const FoundManifest = {
  $id: 'FoundManifest',
  description: 'What the registry has under the reference, although it is no image with an ID.',
  ...object({
    digest: { type: 'string', description: 'What the reference points at.' },
    mediaType: {
      type: 'string',
      description: 'Media type of what `digest` names.',
      examples: ['application/vnd.oci.image.manifest.v1+json'],
    },
    size: { type: 'integer', description: 'Of what `digest` names, in bytes.' },
    'artifactType?': {
      type: 'string',
      description: 'What it says that it is, else the media type of its config.',
      examples: ['application/vnd.cncf.helm.config.v1+json'],
    },
    'registry?': { type: 'string', description: 'The first registry in order that has it.' },
  }),
} as const satisfies ObjectSchema
export type FoundManifest = XStatic<typeof FoundManifest>

/** The OCI distribution error envelope (distribution-spec, "Error Codes"). */
export const ErrorResponse = {
  $id: 'ErrorResponse',
  description: 'The error envelope of the OCI distribution API.',
  ...object({
    errors: {
      type: 'array',
      minItems: 1,
      description: 'Always one element.',
      items: object({
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
            'NOT_AN_IMAGE',
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
            found: FoundManifest,
            attempts: {
              type: 'array',
              items: Attempt,
              description: 'Present where registries were asked, in the order they were asked.',
            },
            candidates: {
              type: 'array',
              items: Candidate,
              description: 'With `explain` or `all`, where registries were asked: every candidate.',
            },
          },
        },
      }),
    },
  }),
} as const satisfies ObjectSchema
export type ErrorResponse = XStatic<typeof ErrorResponse>
