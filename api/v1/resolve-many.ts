import type { XStatic } from 'typebox/schema'
import { ErrorResponse } from './error.ts'
import { ResolveResponse } from './resolve.ts'
import { type ObjectSchema, object } from './schema.ts'

/** Body of `POST /resolve`. */
export const ResolveManyRequest = {
  $id: 'ResolveManyRequest',
  description: 'References to resolve, all for one platform.',
  additionalProperties: false,
  ...object({
    references: {
      type: 'array',
      minItems: 1,
      maxItems: 1000,
      items: { type: 'string' },
      description: 'Each as `ref` of `GET /resolve` takes it.',
    },
    'platform?': {
      type: 'string',
      description: "`os/architecture[/variant]`. Default: the service's own machine.",
      examples: ['linux/arm64'],
    },
    'verify?': {
      type: 'string',
      enum: ['all'],
      description:
        'Ask every registry for each, as `all` of `GET /resolve` does: answers and errors then have `candidates`.',
    },
  }),
} as const satisfies ObjectSchema
export type ResolveManyRequest = XStatic<typeof ResolveManyRequest>

/** One of many: its answer or its error. */
export const ResolveResult = {
  $id: 'ResolveResult',
  description: 'What became of one of the references: `answer` or `error`, never both.',
  ...object({
    requested: { type: 'string', description: 'The reference as it was asked.' },
    'answer?': ResolveResponse,
    'error?': ErrorResponse,
  }),
} as const satisfies ObjectSchema
export type ResolveResult = XStatic<typeof ResolveResult>

/** The results of `POST /resolve`, in the order of the question. */
export const ResolveManyResponse = {
  $id: 'ResolveManyResponse',
  description: 'The results in the order of the question. As NDJSON: one ResolveResult a line.',
  ...object({ results: { type: 'array', items: ResolveResult } }),
} as const satisfies ObjectSchema
export type ResolveManyResponse = XStatic<typeof ResolveManyResponse>
