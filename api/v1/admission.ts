import type { XStatic } from 'typebox/schema'
import { type ObjectSchema, object } from './schema.ts'

/** Answer of `POST /admission/pin`: AdmissionReview of admission.k8s.io/v1, as far as it is used. */
export const AdmissionReview = {
  $id: 'AdmissionReview',
  description: 'AdmissionReview of admission.k8s.io/v1 with its response.',
  ...object({
    apiVersion: { type: 'string', enum: ['admission.k8s.io/v1'] },
    kind: { type: 'string', enum: ['AdmissionReview'] },
    response: object({
      uid: { type: 'string', description: 'That of the request.' },
      allowed: { type: 'boolean' },
      'patchType?': { type: 'string', enum: ['JSONPatch'] },
      'patch?': { type: 'string', description: 'JSON Patch (RFC 6902) in base64.' },
      'warnings?': { type: 'array', items: { type: 'string' } },
      'auditAnnotations?': {
        type: 'object',
        description: 'What became of it, for the audit log of the cluster.',
        properties: {
          pinned: { type: 'string', description: 'References with their digests.' },
          failed: { type: 'string', description: 'What is not pinned, and why.' },
          skipped: { type: 'string', description: 'Why the pod is left as it is.' },
        },
      },
      'status?': {
        type: 'object',
        description: 'Why it is rejected.',
        properties: {
          code: { type: 'integer' },
          reason: { type: 'string' },
          message: { type: 'string' },
        },
      },
    }),
  }),
} as const satisfies ObjectSchema
export type AdmissionReview = XStatic<typeof AdmissionReview>
