import swagger from '@fastify/swagger'
import { type FastifyInstance, type FastifySchema, fastify } from 'fastify'
import { AdmissionReview } from '../../api/v1/admission.ts'
import { CacheResponse } from '../../api/v1/cache.ts'
import { Attempt, Candidate, Exchange } from '../../api/v1/candidate.ts'
import { CheckedImage, CheckedPlace, CheckResponse } from '../../api/v1/check.ts'
import { ErrorResponse, FoundManifest } from '../../api/v1/error.ts'
import { RegistryEventResponse } from '../../api/v1/events.ts'
import { LiveResponse, ReadyResponse } from '../../api/v1/health.ts'
import {
  ImageRecord,
  ImagesResponse,
  PullEvent,
  PullLayers,
  PullRecord,
  PullRequest,
  PullsResponse,
} from '../../api/v1/images.ts'
import {
  RegistriesResponse,
  RegistryStatus,
  RepositoriesResponse,
  TagsResponse,
} from '../../api/v1/registries.ts'
import { NodeImage, Platform, RankedReference, ResolveResponse } from '../../api/v1/resolve.ts'
import {
  ResolveManyRequest,
  ResolveManyResponse,
  ResolveResult,
} from '../../api/v1/resolve-many.ts'
import { StatsHistoryResponse, StatsResponse, VersionResponse } from '../../api/v1/stats.ts'
import { VERSION } from '../../api/version.ts'
import { noCompilers } from './inputs.ts'
import { defaultLimits } from './limits.ts'
import { addRoutes, type RoutesOptions } from './routes.ts'

const components = [
  AdmissionReview,
  Attempt,
  CacheResponse,
  Candidate,
  CheckedImage,
  CheckedPlace,
  CheckResponse,
  FoundManifest,
  ErrorResponse,
  Exchange,
  ImageRecord,
  ImagesResponse,
  LiveResponse,
  NodeImage,
  Platform,
  PullEvent,
  PullLayers,
  PullRecord,
  PullRequest,
  PullsResponse,
  RankedReference,
  ReadyResponse,
  RegistriesResponse,
  RegistryEventResponse,
  RegistryStatus,
  RepositoriesResponse,
  ResolveManyRequest,
  ResolveManyResponse,
  ResolveResponse,
  ResolveResult,
  StatsHistoryResponse,
  StatsResponse,
  TagsResponse,
  VersionResponse,
]

/**
 * The OpenAPI document of this API. It is read off the routes by an application of their own,
 * which serves no request, so that the one that does need not load what describes it.
 */
export async function openapiDocument(format: 'json' | 'yaml'): Promise<string> {
  const app = fastify({ logger: false, schemaController: noCompilers })
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
    images: unused,
    registries: unused,
    service: unused,
    onEvent: unused,
    check: unused,
    admission: unused,
  }
  addRoutes(app, ports, {
    now: Date.now,
    limits: defaultLimits,
    logger: unused,
    document: unused,
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
