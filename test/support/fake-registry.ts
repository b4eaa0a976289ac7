import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Certificate } from './certificate.ts'
import { type ReceivedRequest, received, startServer, type TestServer } from './http-server.ts'
import type { Content, TestImage } from './images.ts'
import type { Cleanup } from './stack.ts'

/** How a registry answers what it would otherwise serve. */
export type Behaviour = (exchange: Exchange) => void

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** What is asked for; undefined: not there. */
  readonly found: Content | undefined
}

export type Auth =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | {
      readonly kind: 'bearer'
      readonly challenge: string
      /** Whether a token lets its bearer read a repository. */
      readonly accepts: (token: string, repository: string) => boolean
    }

export interface FakeRegistryOptions {
  readonly auth?: Auth
  readonly certificate?: Certificate
}

const PATH = /^\/v2\/(?<repository>.+)\/(?:manifests|blobs)\/(?<reference>[^/]+)$/

/** An OCI registry in memory, over real sockets: read-only from outside, and it can misbehave. */
export class FakeRegistry {
  readonly requests: ReceivedRequest[] = []
  behaviour: Behaviour = serve
  readonly #contents = new Map<string, Content>()
  readonly #auth: Auth | undefined
  #server: TestServer | undefined

  private constructor(auth: Auth | undefined) {
    this.#auth = auth
  }

  static async start(t: Cleanup, options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
    const registry = new FakeRegistry(options.auth)
    const { certificate } = options
    registry.#server = await startServer(t, registry.#answer, certificate)
    return registry
  }

  get server(): TestServer {
    if (this.#server === undefined) throw new Error('not started')
    return this.#server
  }

  get host(): string {
    return this.server.host
  }

  get url(): string {
    return this.server.url
  }

  /** Stores an image with its children and blobs; with a tag, that tag then names it. */
  put(repository: string, tag: string | undefined, image: TestImage): void {
    for (const child of image.children) this.put(repository, undefined, child)
    for (const each of [image, ...image.blobs]) {
      this.#contents.set(`${repository} ${each.digest}`, each)
    }
    if (tag !== undefined) this.putManifest(repository, tag, image)
  }

  /** Stores bytes under a tag or digest, whether that is theirs or not. */
  putManifest(repository: string, reference: string, manifest: Content): void {
    this.#contents.set(`${repository} ${reference}`, manifest)
  }

  /** `METHOD path` of every request so far. */
  log(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path}`)
  }

  readonly #answer = (request: IncomingMessage, response: ServerResponse): void => {
    this.requests.push(received(request))
    const { repository = '', reference = '' } = PATH.exec(request.url ?? '')?.groups ?? {}
    const challenge = this.#challenge(request.headers.authorization, repository)
    if (challenge !== undefined) {
      response.setHeader('www-authenticate', challenge)
      envelope(response, 401, 'UNAUTHORIZED', 'authentication required')
      return
    }
    const found = this.#contents.get(`${repository} ${reference}`)
    this.behaviour({ request, response, found })
  }

  #challenge(authorization: string | undefined, repository: string): string | undefined {
    const auth = this.#auth
    if (auth === undefined) return undefined
    if (auth.kind === 'basic') {
      const pair = Buffer.from(`${auth.username}:${auth.password}`).toString('base64')
      return authorization === `Basic ${pair}` ? undefined : 'Basic realm="fake"'
    }
    const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1]
    const accepted = token !== undefined && auth.accepts(token, repository)
    return accepted ? undefined : auth.challenge
  }
}

/** As a good registry does. */
export function serve({ request, response, found }: Exchange): void {
  if (request.url === '/v2/') response.writeHead(200).end('{}')
  else if (found === undefined) envelope(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown')
  else send(response, found)
}

/** Answers everything with a status and the OCI envelope. */
export function refuseWith(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Behaviour {
  return ({ response }) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    envelope(response, status, 'DENIED', `refused with ${status}`)
  }
}

/** Answers everything with these very bytes. */
export function answerWith(status: number, contentType: string, body: string | Buffer): Behaviour {
  return ({ response }) =>
    void response.writeHead(status, { 'content-type': contentType }).end(body)
}

/** Takes requests and says nothing. */
export function hang(): void {}

/** Breaks the connection off in the middle of the body. */
export function resetMidBody({ response, found }: Exchange): void {
  if (found === undefined) return void response.destroy()
  response.writeHead(200, { ...headersOf(found) })
  response.write(found.bytes.subarray(0, 10), () => response.destroy())
}

/** Says the head and a little of the body, and no more. */
export function stallMidBody({ response, found }: Exchange): void {
  response.writeHead(200, found === undefined ? {} : headersOf(found))
  response.write(found?.bytes.subarray(0, 10) ?? 'x')
}

/** Serves other bytes than the ones asked for, with the headers of those. */
export function wrongBytes({ response, found }: Exchange): void {
  if (found === undefined) {
    envelope(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown')
    return
  }
  const bytes = Buffer.from(found.bytes)
  bytes[bytes.length - 1] = 0x20
  response.writeHead(200, headersOf(found)).end(bytes)
}

/** Serves with headers changed; undefined leaves one out. */
export function withHeaders(changes: Readonly<Record<string, string | undefined>>): Behaviour {
  return ({ request, response, found }) => {
    if (found === undefined) return serve({ request, response, found })
    const headers = { ...headersOf(found), ...changes }
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) response.setHeader(name, value)
    }
    // Node gives a HEAD no length by itself.
    response.end(found.bytes)
  }
}

/** Knows GET alone. */
export function withoutHead(exchange: Exchange): void {
  if (exchange.request.method === 'HEAD') exchange.response.writeHead(405).end()
  else serve(exchange)
}

/** A body without an end, in an answer that does not give its length. */
export function endless({ response }: Exchange): void {
  response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' })
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const more = (): void => {
    while (!response.destroyed && response.write(chunk)) {}
    if (!response.destroyed) response.once('drain', more)
  }
  more()
}

function send(response: ServerResponse, found: Content): void {
  response.writeHead(200, headersOf(found)).end(found.bytes)
}

function headersOf(found: Content): Record<string, string> {
  return {
    'content-type': found.mediaType,
    'content-length': String(found.bytes.length),
    'docker-content-digest': found.digest,
  }
}

function envelope(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ errors: [{ code, message }] }))
}
