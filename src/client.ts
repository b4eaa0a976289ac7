import type { ErrorResponse } from '../api/v1/error.ts'
import type { ReadyResponse } from '../api/v1/health.ts'
import type { ImageRecord, ImagesResponse, PullEvent, PullsResponse } from '../api/v1/images.ts'
import type {
  RegistriesResponse,
  RegistryStatus,
  RepositoriesResponse,
  TagsResponse,
} from '../api/v1/registries.ts'
import type { ResolveQuery, ResolveResponse } from '../api/v1/resolve.ts'
import type { ResolveResult } from '../api/v1/resolve-many.ts'
import type { StatsResponse, VersionResponse } from '../api/v1/stats.ts'

export type { Attempt, Candidate, Exchange } from '../api/v1/candidate.ts'
export type { ErrorResponse } from '../api/v1/error.ts'
export type { NodeImage, Platform, RankedReference } from '../api/v1/resolve.ts'
export type {
  ImageRecord,
  PullEvent,
  PullsResponse,
  ReadyResponse,
  RegistryStatus,
  RepositoriesResponse,
  ResolveResponse,
  ResolveResult,
  StatsResponse,
  TagsResponse,
}

type ErrorBody = ErrorResponse['errors'][number]

/** What the service said instead of an answer. */
export class ImageResolverError extends Error {
  override readonly name = 'ImageResolverError'
  /** Stable: decide by this, never by the message. */
  readonly code: ErrorBody['code']
  /** HTTP status. */
  readonly status: number
  readonly attempts: NonNullable<ErrorBody['detail']['attempts']>
  /** With `all` or `explain`: what became of every registry that was asked. */
  readonly candidates: NonNullable<ErrorBody['detail']['candidates']>
  /** From `Retry-After`. */
  readonly retryAfterMs: number | undefined

  constructor({ code, message, detail }: ErrorBody, status: number, retryAfterMs?: number) {
    super(message)
    this.code = code
    this.status = status
    this.attempts = detail.attempts ?? []
    this.candidates = detail.candidates ?? []
    this.retryAfterMs = retryAfterMs
  }
}

export interface ClientOptions {
  /** Default: where the service listens by default, `http://127.0.0.1:9430`. */
  readonly url?: string | undefined
  /** `http.token` of the service. */
  readonly token?: string | undefined
  /** Default: the global one. Another one is the way to a unix socket or an own authority. */
  readonly fetch?: typeof fetch | undefined
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface PageOptions extends CallOptions {
  /** At most so many names: 1 to 1000, default 100. */
  readonly n?: number | undefined
  /** `next` of the page before. */
  readonly last?: string | undefined
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * A client of the HTTP API. Every call rejects with ImageResolverError for what the service says, and
 * with what `fetch` throws when it is not there or the signal aborts.
 */
export class ImageResolverClient {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #fetch: typeof fetch

  constructor({ url = 'http://127.0.0.1:9430', token, fetch: other }: ClientOptions = {}) {
    this.#url = url.replace(/\/+$/, '')
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    this.#fetch = other ?? fetch
  }

  resolve(
    ref: string,
    { signal, ...flags }: CallOptions & Omit<ResolveQuery, 'ref'> = {},
  ): Promise<ResolveResponse> {
    return this.#get('/resolve', { ref, ...flags }, signal)
  }

  /**
   * @param references up to 1,000; their results come in this order, each as soon as it is known
   * @param options `verify`: ask every registry for each, and tell what all of them say
   */
  async *resolveMany(
    references: readonly string[],
    {
      signal,
      ...asked
    }: CallOptions & { readonly platform?: string; readonly verify?: 'all' } = {},
  ): AsyncGenerator<ResolveResult> {
    const accept = 'application/x-ndjson'
    const response = await this.#post('/resolve', { references, ...asked }, accept, signal)
    for await (const line of pieces(response, '\n')) yield JSON.parse(line)
  }

  async images({ signal }: CallOptions = {}): Promise<readonly ImageRecord[]> {
    const { images } = await this.#get<ImagesResponse>('/images', {}, signal)
    return images
  }

  /** @param image any of its names, or its ID */
  image(image: string, { signal }: CallOptions = {}): Promise<ImageRecord> {
    return this.#get(`/images/${encodeURIComponent(image)}`, {}, signal)
  }

  /** Needs the token. What is not there is a success. */
  async removeImage(image: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#ask(`/images/${encodeURIComponent(image)}`, { method: 'DELETE' }, signal)
  }

  /** Needs the token. The last event is `pulled` or `failed`; a client that stops reading cancels the pull. */
  async *pull(reference: string, { signal }: CallOptions = {}): AsyncGenerator<PullEvent> {
    const response = await this.#post('/images/pull', { reference }, 'text/event-stream', signal)
    for await (const event of pieces(response, '\n\n')) {
      yield JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '')
    }
  }

  /** Those that run. Needs the token, but on a unix socket. */
  pulls({ signal }: CallOptions = {}): Promise<PullsResponse> {
    return this.#get('/pulls', {}, signal)
  }

  async registries({ signal }: CallOptions = {}): Promise<readonly RegistryStatus[]> {
    const { registries } = await this.#get<RegistriesResponse>('/registries', {}, signal)
    return registries
  }

  /** @param registry its name, as `registries` gives it */
  repositories(
    registry: string,
    { signal, ...page }: PageOptions = {},
  ): Promise<RepositoriesResponse> {
    return this.#get(`/registries/${encodeURIComponent(registry)}/images`, page, signal)
  }

  tags(
    registry: string,
    repository: string,
    { signal, ...page }: PageOptions = {},
  ): Promise<TagsResponse> {
    const path = `/registries/${encodeURIComponent(registry)}/tags`
    return this.#get(path, { repository, ...page }, signal)
  }

  /**
   * Every repository of a registry, page by page as they are read.
   *
   * @param page `n`: how many a page has, default 1000; `last`: begin behind this one
   */
  async *allRepositories(registry: string, page: PageOptions = {}): AsyncGenerator<string> {
    yield* names(page, async (next) => {
      const { next: last, repositories } = await this.repositories(registry, next)
      return { last, found: repositories }
    })
  }

  /** Every tag of a repository, page by page as they are read. */
  async *allTags(
    registry: string,
    repository: string,
    page: PageOptions = {},
  ): AsyncGenerator<string> {
    yield* names(page, async (next) => {
      const { next: last, tags } = await this.tags(registry, repository, next)
      return { last, found: tags }
    })
  }

  /** The effective configuration as YAML, without a secret. */
  async config({ signal }: CallOptions = {}): Promise<string> {
    return (await this.#ask('/config', {}, signal)).text()
  }

  /** Also while it is not ready: `doors` then say why. */
  async readyz({ signal }: CallOptions = {}): Promise<ReadyResponse> {
    const isAnswer = ({ status }: Response): boolean => status === 200 || status === 503
    const response = await this.#ask('/readyz', {}, signal, isAnswer)
    const body: unknown = await response.json().catch(() => undefined)
    if (typeof body === 'object' && body !== null && 'doors' in body) return body as ReadyResponse
    throw notOurs(response)
  }

  stats({ signal }: CallOptions = {}): Promise<StatsResponse> {
    return this.#get('/stats', {}, signal)
  }

  version({ signal }: CallOptions = {}): Promise<VersionResponse> {
    return this.#get('/version', {}, signal)
  }

  async #get<T>(path: string, query: Query, signal: AbortSignal | undefined): Promise<T> {
    const text = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) text.set(name, String(value))
    }
    const response = await this.#ask(text.size === 0 ? path : `${path}?${text}`, {}, signal)
    return (await response.json()) as T
  }

  #post(
    path: string,
    body: object,
    accept: string,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const headers = { accept, 'content-type': 'application/json' }
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) }, signal)
  }

  async #ask(
    path: string,
    { headers, ...init }: { method?: string; headers?: Record<string, string>; body?: string },
    signal: AbortSignal | undefined,
    isAnswer = ({ ok }: Response): boolean => ok,
  ): Promise<Response> {
    const response = await this.#fetch(`${this.#url}${path}`, {
      ...init,
      headers: { ...this.#headers, ...headers },
      ...(signal !== undefined && { signal }),
    })
    if (isAnswer(response)) return response
    throw await failureOf(response)
  }
}

async function failureOf(response: Response): Promise<ImageResolverError> {
  const { status, statusText, headers } = response
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  const retryAfterMs = Number.isNaN(seconds) ? undefined : seconds * 1000
  const text = await response.text()
  try {
    const [error] = (JSON.parse(text) as ErrorResponse).errors
    if (error !== undefined) return new ImageResolverError(error, status, retryAfterMs)
  } catch {
    // Not from the service: from a proxy before it, or another program at its address.
  }
  return notOurs({ status, statusText }, retryAfterMs)
}

function notOurs(
  { status, statusText }: Pick<Response, 'status' | 'statusText'>,
  retryAfterMs?: number,
): ImageResolverError {
  const message = `${status} ${statusText} without an error of image-resolver: is this its address?`
  return new ImageResolverError({ code: 'UNKNOWN', message, detail: {} }, status, retryAfterMs)
}

const LARGEST_PAGE = 1_000

async function* names(
  { n = LARGEST_PAGE, ...page }: PageOptions,
  read: (
    page: PageOptions,
  ) => Promise<{ readonly last: string | null; readonly found: readonly string[] }>,
): AsyncGenerator<string> {
  for (let next: PageOptions | undefined = { ...page, n }; next !== undefined; ) {
    const { found, last } = await read(next)
    yield* found
    next = last === null ? undefined : { ...page, n, last }
  }
}

/** The parts of a stream of text that each end with `end`. */
async function* pieces({ body }: Response, end: string): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  // What has come of a part is not looked at again, but for its last characters: an end may be cut in two.
  const held: string[] = []
  let last = ''
  for await (const chunk of body ?? []) {
    const parts = (last + decoder.decode(chunk as Uint8Array, { stream: true })).split(end)
    const rest = parts.pop() ?? ''
    if (parts.length > 0) parts[0] = held.splice(0).join('') + parts[0]
    yield* parts
    const cut = Math.max(0, rest.length - end.length + 1)
    held.push(rest.slice(0, cut))
    last = rest.slice(cut)
  }
}
