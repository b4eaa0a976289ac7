import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { Attempt, ErrorResponse } from '../../api/v1/error.ts'
import { LiveResponse, ReadyResponse } from '../../api/v1/health.ts'
import { NodeImage, Platform, RankedReference, ResolveResponse } from '../../api/v1/resolve.ts'

/** Registers the shapes of the bodies, and watches the routes that follow for `app.swagger()`. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  for (const schema of components) app.addSchema(schema)
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
}

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
