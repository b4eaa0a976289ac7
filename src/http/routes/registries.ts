import type { FastifyInstance, FastifyReply } from 'fastify'
import { PageQuery, type RegistriesResponse, TagsQuery } from '../../../api/v1/registries.ts'
import { quote } from '../../reference/quote.ts'
import { untilLeft } from '../deadline.ts'
import { RequestError } from '../error-response.ts'
import type { PageOptions } from '../registry-admin.ts'
import { answer, COMMON_PROBLEMS, NOT_MODIFIED, problem, withRetryAfter } from '../responses.ts'
import type { RouteContext } from '../types.ts'

interface Named {
  readonly name: string
}

/** `GET /registries`, and what one of them says it has. */
export function registriesRoutes(
  app: FastifyInstance,
  { registries, timeoutMs }: RouteContext,
): void {
  if (registries === undefined) return
  const config = { cache: 'no-cache' } as const
  app.get(
    '/registries',
    { schema: list, config },
    async (): Promise<RegistriesResponse> => ({ registries: [...registries.statuses()] }),
  )
  app.get<{ Params: Named; Querystring: PageQuery }>(
    '/registries/:name/images',
    { schema: repositories, config },
    (request, reply) => {
      const { name } = request.params
      return ask(request, reply, name, (page) => registries.repositories(name, page))
    },
  )
  app.get<{ Params: Named; Querystring: TagsQuery }>(
    '/registries/:name/tags',
    { schema: tags, config },
    (request, reply) => {
      const { name } = request.params
      const { repository } = request.query
      return ask(request, reply, name, (page) => registries.tags(name, repository, page))
    },
  )

  async function ask<T>(
    request: { readonly query: PageQuery },
    reply: FastifyReply,
    name: string,
    listing: (page: PageOptions) => Promise<T>,
  ): Promise<T> {
    if (!registries?.statuses().some((each) => each.name === name)) throw unknownRegistry(name)
    const { n = PageQuery.properties.n.default, last } = request.query
    const signal = untilLeft(reply.raw, timeoutMs)
    return listing(last === undefined ? { n, signal } : { n, signal, last })
  }
}

/** There is no such path, which is no answer of a registry. */
function unknownRegistry(name: string): RequestError {
  const hint = 'GET /registries lists those that are'
  return new RequestError('ROUTE_UNKNOWN', `no registry ${quote(name)} is configured; ${hint}`)
}

const list = {
  operationId: 'registries',
  summary: 'The configured registries, and how they do.',
  response: {
    200: answer('RegistriesResponse', 'The registries.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
  },
}

const params = {
  type: 'object',
  required: ['name'],
  properties: {
    name: {
      type: 'string',
      description: 'As in `GET /registries`, percent-encoded.',
      examples: ['harbor.corp/proxy-docker'],
    },
  },
}

const problems = {
  ...NOT_MODIFIED,
  ...COMMON_PROBLEMS,
  401: problem('The registry, or with `WWW-Authenticate` this service, asks for credentials.'),
  403: problem('The registry refuses; many have no catalogue.'),
  404: problem('There is no such registry, or nothing of that name in it.'),
  422: problem('The registry does not know such questions.'),
  429: withRetryAfter(problem('The registry, or this service, asks to wait.')),
  502: problem('The registry cannot be reached, or answers nonsense.'),
  504: problem('Out of time.'),
}

const repositories = {
  operationId: 'repositories',
  summary: 'What a registry has, by its catalogue.',
  params,
  querystring: PageQuery,
  response: { 200: answer('RepositoriesResponse', 'A page of repositories.'), ...problems },
}

const tags = {
  operationId: 'tags',
  summary: 'The tags of a repository.',
  params,
  querystring: TagsQuery,
  response: { 200: answer('TagsResponse', 'A page of tags.'), ...problems },
}
