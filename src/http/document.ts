import swagger from '@fastify/swagger'
import { type FastifyInstance, fastify } from 'fastify'
import { Attempt, ErrorResponse } from '../../api/v1/error.ts'
import { LiveResponse, ReadyResponse } from '../../api/v1/health.ts'
import { NodeImage, Platform, RankedReference, ResolveResponse } from '../../api/v1/resolve.ts'
import { ResolveError } from '../errors.ts'
import { healthRoutes } from './routes/health.ts'
import { resolveRoute } from './routes/resolve.ts'

const components = [
  Attempt,
  ErrorResponse,
  LiveResponse,
  NodeImage,
  Platform,
  RankedReference,
  ReadyResponse,
  ResolveResponse,
]

/**
 * The OpenAPI document of this door. It is read off the routes by an application of their own,
 * which answers nobody, so that the one that does need not carry what describes it.
 */
export async function openapiDocument(format: 'json' | 'yaml'): Promise<string> {
  const app = fastify({ logger: false })
  try {
    await describe(app)
    await app.ready()
    return format === 'yaml' ? app.swagger({ yaml: true }) : JSON.stringify(app.swagger())
  } finally {
    await app.close()
  }
}

async function describe(app: FastifyInstance): Promise<void> {
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  for (const { $id, ...schema } of components) app.addSchema({ $id, ...withReferences(schema) })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'image-resolver',
        version: '1.0.0',
        description: 'Which image a reference is, exactly, and where it can be pulled from.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: 'http://127.0.0.1:9430', description: 'Where it listens by default.' }],
    },
    // Else components are named def-0, def-1, ... by the order of the routes.
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) => String(json['$id'] ?? index),
    },
  })
  const answer = () => Promise.reject(new ResolveError('UNAVAILABLE', 'only described here'))
  resolveRoute(app, { answers: { answer }, timeoutMs: 0, now: Date.now })
  healthRoutes(app, { check: async () => [] })
}

/** In api/v1 a named schema stands where it is used; here its name does. */
function withReferences(schema: object): object {
  return JSON.parse(JSON.stringify(schema), (_key, value) =>
    typeof value?.$id === 'string' ? { $ref: `${value.$id}#` } : value,
  )
}
