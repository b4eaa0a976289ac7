import swagger from '@fastify/swagger'
import { type FastifyInstance, type FastifySchema, fastify } from 'fastify'
import * as admission from '../api/v1/admission.ts'
import * as cache from '../api/v1/cache.ts'
import * as candidate from '../api/v1/candidate.ts'
import * as check from '../api/v1/check.ts'
import * as error from '../api/v1/error.ts'
import * as events from '../api/v1/events.ts'
import * as health from '../api/v1/health.ts'
import * as images from '../api/v1/images.ts'
import * as registries from '../api/v1/registries.ts'
import * as resolve from '../api/v1/resolve.ts'
import * as resolveMany from '../api/v1/resolve-many.ts'
import * as stats from '../api/v1/stats.ts'
import { VERSION } from '../api/version.ts'
import { noCompilers } from '../src/http/inputs.ts'
import { HTTP_LIMITS } from '../src/http/limits.ts'
import { addRoutes } from '../src/http/routes.ts'
import type { RoutesOptions } from '../src/http/types.ts'

/** Every schema of api/v1 that has a name, by which others refer to it. */
const components = [
  admission,
  cache,
  candidate,
  check,
  error,
  events,
  health,
  images,
  registries,
  resolve,
  resolveMany,
  stats,
]
  .flatMap((module): readonly object[] => Object.values(module))
  .filter((schema): schema is Named => '$id' in schema)
  .sort((one, other) => (one.$id < other.$id ? -1 : 1))

interface Named {
  readonly $id: string
}

/** The OpenAPI document of this API, read off its routes by an application that serves no request: openapi/openapi.yaml. */
export async function openapiDocument(): Promise<string> {
  const app = fastify({ logger: false, schemaController: noCompilers })
  try {
    await describe(app)
    await app.ready()
    return app.swagger({ yaml: true })
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
        version: VERSION,
        description: 'Which image a reference is, exactly, and where it can be pulled from.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: 'http://127.0.0.1:9430', description: 'Where it listens by default.' }],
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description:
              '`http.token` of the configuration: for what changes something, and for everything but health where other machines can reach the service.',
          },
        },
      },
      security: [{}, { token: [] }],
    },
    // Else components are named def-0, def-1, ... by the order of the routes.
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) => String(json['$id'] ?? index),
    },
    transform: ({ schema, url }) => ({
      schema: (schema === undefined ? undefined : withReferences(schema)) as FastifySchema,
      // The rest of a path has no name in the router.
      url: url.replace('*', ':image'),
    }),
  })
  // Never called: no request is served.
  const unused = {} as never
  const ports: RoutesOptions = {
    answers: unused,
    readiness: unused,
    node: unused,
    pulls: unused,
    registries: unused,
    service: unused,
    onEvent: unused,
    check: unused,
    admission: unused,
  }
  addRoutes(app, ports, {
    now: Date.now,
    limits: HTTP_LIMITS,
    logger: unused,
    isAuthentic: unused,
    isUnauthenticated: unused,
    onUnexpected: unused,
  })
}

/** In api/v1 a named schema stands where it is used; here its name does. */
function withReferences(schema: object): object {
  return JSON.parse(JSON.stringify(schema), (_key, value) =>
    typeof value?.$id === 'string' ? { $ref: `${value.$id}#` } : value,
  )
}
