import type { FastifyInstance } from 'fastify'
import type { ImageRecord, ImagesResponse, PullsResponse } from '../../../api/v1/images.ts'
import { ResolveError } from '../../errors.ts'
import { quote } from '../../reference/quote.ts'
import { untilLeft } from '../deadline.ts'
import { RequestError } from '../error-response.ts'
import { MAX_NAME_CHARACTERS } from '../limits.ts'
import { answer, COMMON_PROBLEMS, NOT_MODIFIED, problem, TOKEN_NEEDED } from '../responses.ts'
import type { RouteContext } from '../types.ts'

/** Names contain slashes, so that an image is all the rest of a path. */
interface ImageRoute {
  Params: { '*': string }
}

/** `GET /images`, and one of them: shown or, with the token, removed; and the pulls that run. */
export function imagesRoutes(app: FastifyInstance, { node, pulls, timeoutMs }: RouteContext): void {
  if (node === undefined || pulls === undefined) return
  const config = { access: 'node', cache: 'no-cache' } as const
  app.get('/images', { schema: list, config }, async (_request, reply): Promise<ImagesResponse> => {
    const signal = untilLeft(reply.raw, timeoutMs)
    const found = await (await node()).list(signal)
    return { images: [...found] }
  })
  app.get(
    '/pulls',
    { schema: running, config: { access: 'node', cache: 'no-store' } },
    (): Promise<PullsResponse> => pulls.list(),
  )
  app.get<ImageRoute>(
    '/images/*',
    { schema: one, config },
    async (request, reply): Promise<ImageRecord> => {
      const name = nameOf(request)
      const signal = untilLeft(reply.raw, timeoutMs)
      const found = await (await node()).status(name, signal)
      if (found === undefined) {
        throw new ResolveError('MANIFEST_UNKNOWN', `the runtime has no image ${quote(name)}`)
      }
      return found
    },
  )
  app.delete<ImageRoute>(
    '/images/*',
    { schema: removal, config: { access: 'write', cache: 'no-store' } },
    async (request, reply) => {
      const name = nameOf(request)
      const signal = untilLeft(reply.raw, timeoutMs)
      await (await node()).remove(name, signal)
      return reply.code(204).send()
    },
  )
}

/** To some runtimes the empty name is the beginning of every ID. */
function nameOf({ params }: { readonly params: ImageRoute['Params'] }): string {
  const name = params['*']
  if (name.length > MAX_NAME_CHARACTERS) {
    const problem = `the name of an image has ${name.length} characters`
    throw new RequestError('REQUEST_INVALID', `${problem}, at most ${MAX_NAME_CHARACTERS} are read`)
  }
  if (name.trim() !== '') return name
  throw new RequestError('REQUEST_INVALID', 'name an image: /images/nginx:latest, or /images/ID')
}

const RUNTIME_PROBLEMS = {
  403: problem(
    "No token is configured, without which only a unix socket tells this, or the service has no right to use the runtime's socket.",
  ),
  502: problem('There is no runtime, or it does not answer.'),
  504: problem('Out of time.'),
}

const list = {
  operationId: 'images',
  summary: 'The images that the container runtime of this machine has.',
  description: 'For the token alone, but on a unix socket.',
  response: {
    200: answer('ImagesResponse', 'The images.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
    ...RUNTIME_PROBLEMS,
  },
}

const running = {
  operationId: 'pulls',
  summary: 'The pulls on the CRI socket that run.',
  description:
    'From where and for which pod each of them pulls, and how far its layers are. For the token alone, but on a unix socket.',
  response: {
    200: answer('PullsResponse', 'The pulls, the oldest first.'),
    ...COMMON_PROBLEMS,
    403: problem('No token is configured, without which only a unix socket tells this.'),
  },
}

const params = {
  type: 'object',
  required: ['image'],
  properties: {
    image: {
      type: 'string',
      description: 'Any of its names, or its ID; slashes may stand as they are.',
      examples: ['nginx:latest'],
    },
  },
}

const one = {
  operationId: 'image',
  summary: 'One of them, by any of its names or its ID.',
  description: 'For the token alone, but on a unix socket.',
  params,
  response: {
    200: answer('ImageRecord', 'The image.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
    404: problem('The runtime has no such image.'),
    ...RUNTIME_PROBLEMS,
  },
}

const removal = {
  operationId: 'removeImage',
  summary: 'Removes an image with all its names. What is not there is a success.',
  security: TOKEN_NEEDED,
  params,
  response: {
    204: { type: 'null', description: 'It is not there, or no longer.' },
    ...COMMON_PROBLEMS,
    ...RUNTIME_PROBLEMS,
    403: problem(
      "No token is configured, which turns this off, or the service has no right to use the runtime's socket.",
    ),
    413: problem('There is a body, and it is over 16 KiB.'),
    415: problem('There is a body, and it is not `application/json`.'),
  },
}

/** `GET /check`: what the service knows of the images in use. No registry is asked for it. */
export function checkRoute(app: FastifyInstance, { check }: RouteContext): void {
  if (check === undefined) return
  const config = { access: 'node', cache: 'no-cache' } as const
  app.get('/check', { schema, config }, async () => check())
}

const schema = {
  operationId: 'check',
  summary: 'Where the images that pods of this node use can be pulled from.',
  description:
    'The result of the last check, which `check.interval` of the configuration asks for. For the token alone, but on a unix socket.',
  response: {
    200: answer('CheckResponse', 'The last check.'),
    ...NOT_MODIFIED,
    ...COMMON_PROBLEMS,
    403: problem('No token is configured, without which only a unix socket tells this.'),
  },
}
