import type { ObjectSchema } from './schema.ts'

/** One entry of `resolvers:`. */
export const ResolverFields = {
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  shorthand: 'url',
  properties: {
    url: {
      type: 'string',
      description: 'Where the HTTP API of that service is: https://host[:port].',
    },
    ca: {
      type: 'string',
      description: 'A PEM file of authorities that are believed there beside the well-known ones.',
    },
    tokenFile: {
      type: 'string',
      description: 'A file that holds its http.token; read again when it changes.',
    },
  },
} as const satisfies ObjectSchema
