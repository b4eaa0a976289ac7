import type { XStatic } from 'typebox/schema'
import { type ObjectSchema, object } from './schema.ts'

export const Attempt = {
  $id: 'Attempt',
  description: 'The attempt at one registry, and its outcome.',
  ...object({
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
    'status?': {
      type: 'integer',
      description: 'HTTP status, when the registry answered.',
      examples: [404],
    },
    ms: { type: 'number', description: 'How long it took, in milliseconds.', examples: [12.4] },
    'message?': { type: 'string', description: 'One line for people; never holds a secret.' },
  }),
} as const satisfies ObjectSchema
export type Attempt = XStatic<typeof Attempt>

/** One HTTP request to a registry or a token service. */
export const Exchange = {
  $id: 'Exchange',
  description: 'One HTTP request to a registry or a token service, and what came back.',
  ...object({
    method: { type: 'string', enum: ['GET', 'HEAD', 'POST'] },
    url: {
      type: 'string',
      description: 'Without user, password and query.',
      examples: ['https://harbor.corp/v2/library/nginx/manifests/latest'],
    },
    'status?': { type: 'integer', description: 'HTTP status; absent: no answer came.' },
    ms: { type: 'number', examples: [12.4] },
    'remaining?': { type: 'integer', description: 'How many requests the registry says are left.' },
    'warning?': { type: 'string', description: "The registry's own `Warning: 299`." },
  }),
} as const satisfies ObjectSchema
export type Exchange = XStatic<typeof Exchange>

/** A place where the image may be, and the outcome there. */
export const Candidate = {
  $id: 'Candidate',
  description: 'A place where the image may be, the outcome there, and why.',
  ...object({
    registry: { type: 'string', examples: ['harbor.corp/proxy-docker'] },
    reference: {
      type: 'string',
      description: 'What is asked for there.',
      examples: ['harbor.corp/proxy-docker/library/nginx:latest'],
    },
    priority: { type: 'integer', description: "The registry's priority, 0 to 10000." },
    origin: { type: 'boolean', description: 'The registry that the reference itself names.' },
    chosen: { type: 'boolean', description: 'Its answer is the answer.' },
    outcome: Attempt.properties.outcome,
    why: {
      type: 'string',
      description: 'One sentence for people.',
      examples: ['passed over: its tag points at another digest'],
    },
    'digest?': { type: 'string', description: 'What the reference points at there.' },
    'divergent?': {
      type: 'boolean',
      description: 'Its tag points at another digest than the chosen one; it is not merged.',
    },
    'startedMs?': {
      type: 'number',
      description: 'When it was asked, in milliseconds from the beginning; absent: not asked.',
    },
    'ms?': { type: 'number', description: 'How long it took, in milliseconds.' },
    'error?': object({ code: { type: 'string' }, message: { type: 'string' } }),
    exchanges: {
      type: 'array',
      items: Exchange,
      description: 'Every request that was made for it, tokens and redirects included; 20 at most.',
    },
  }),
} as const satisfies ObjectSchema
export type Candidate = XStatic<typeof Candidate>
