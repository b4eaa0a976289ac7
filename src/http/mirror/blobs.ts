import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy'
import type { FastifyRequest } from 'fastify'
import { ownSignal } from '../../concurrency/abortable.ts'
import { Semaphore } from '../../concurrency/semaphore.ts'
import { ResolveError, toResolveError } from '../../errors.ts'
import { oneLine } from '../../reference/quote.ts'
import { formatReference, type Reference } from '../../reference/reference.ts'
import type { ContentRequest } from '../../registry/content.ts'
import { contentRefusal } from '../../registry/content.ts'
import { endpointUrl } from '../../registry/endpoint.ts'
import type { ImageRequest } from '../../registry/image.ts'
import { isDoubtful } from '../../registry/manifest-fetcher.ts'
import type { Content } from '../../registry/response.ts'
import type { Found } from '../../resolver/failover.ts'
import type { Candidate } from '../../resolver/types.ts'
import { clientKey } from '../limits.ts'
import { BlobBody, Stalled } from './blob-body.ts'
import type { MirrorContext, MirrorOptions } from './context.ts'
import { BlobsBusy } from './mirror-failure.ts'
import { partBytes, RANGE, wrongPart } from './part.ts'

/** What is chosen for a request before it is proxied. */
interface Choice {
  readonly method: 'GET' | 'HEAD'
  /** With the blob's digest. */
  readonly reference: Reference
  /** In the order of asking, at least one. */
  readonly candidates: readonly Candidate[]
  /** Ends with the client. */
  readonly signal: AbortSignal
}

/** As http-proxy asks it of its dispatcher, with what was chosen. */
interface ProxiedRequest {
  readonly headers: { readonly range?: string; readonly [CHOICE]: Choice }
}

type Callback = (error: Error | null, answer?: ProxiedAnswer) => void

interface ProxiedAnswer {
  readonly statusCode: number
  readonly headers: Record<string, string>
  readonly body: Readable
}

type ProxyOptions = Required<Pick<FastifyHttpProxyOptions, 'undici'>> & {
  readonly replyOptions: Pick<
    NonNullable<FastifyHttpProxyOptions['replyOptions']>,
    'getUpstream' | 'rewriteRequestHeaders'
  >
}

/** Among the headers of a proxied request; what is no text is sent nowhere. */
const CHOICE = Symbol('choice')

/**
 * Serves blobs through `@fastify/http-proxy`: `choose()` before a request is proxied, then the hooks that read
 * the choice, then the dispatcher. That asks the registries in their order until one has the blob, each with
 * its own credentials, under the address policy and with the TLS and proxy of its entry, redirects included,
 * over undici (registry/transport/streaming-client.ts). Nothing is kept but the piece that passes.
 */
export class Blobs {
  readonly proxyOptions: ProxyOptions
  readonly #context: MirrorContext
  readonly #all: Semaphore
  readonly #ofClients: Semaphore
  readonly #choices = new WeakMap<object, Choice>()

  constructor(context: MirrorContext) {
    this.#context = context
    this.#all = new Semaphore(context.limits.blobs)
    this.#ofClients = new Semaphore(context.limits.blobsPerClient)
    const request = (asked: ProxiedRequest, done: Callback): void => {
      this.#answer(asked).then((answer) => done(null, answer), done)
    }
    this.proxyOptions = {
      // All that http-proxy calls of a dispatcher.
      undici: { request } as unknown as ProxyOptions['undici'],
      replyOptions: {
        getUpstream: ({ raw }) => this.#upstream(raw),
        rewriteRequestHeaders: ({ raw, headers }) => this.#headers(raw, headers),
      },
    }
  }

  /**
   * Takes a slot for a blob, and chooses where it is looked for.
   *
   * @param signal ends with the client, and gives the slot back
   * @throws ResolveError DENIED when no registry may be asked, BlobsBusy when no slot becomes free
   */
  async choose({ raw }: FastifyRequest, asked: Omit<Choice, 'candidates'>): Promise<void> {
    const { method, reference, signal } = asked
    if (method === 'GET') await this.#takeSlot(clientKey(raw.socket.remoteAddress), signal)
    this.#choices.set(raw, { ...asked, candidates: this.#context.candidates.ofBlob(reference) })
  }

  /** The first registry that is asked; those behind it are the dispatcher's to know. */
  #upstream(raw: object): string {
    const [first] = this.#choices.get(raw)?.candidates ?? []
    return first === undefined ? 'http://none.invalid' : endpointUrl(first.endpoint)
  }

  /**
   * Nothing that a client says reaches a registry but one range: its credentials are for this service.
   * Authorization is each registry's own, and is added where it is asked.
   */
  #headers(
    raw: object,
    { range = '' }: { readonly range?: string | undefined },
  ): IncomingHttpHeaders {
    const choice = this.#choices.get(raw)
    // A HEAD is of the whole, whatever it says (RFC 9110, section 14.2).
    const isPart = choice?.method === 'GET' && RANGE.test(range)
    const headers: IncomingHttpHeaders = isPart ? { range } : {}
    return Object.assign(headers, { [CHOICE]: choice })
  }

  /** @throws ResolveError MANIFEST_UNKNOWN when no registry has it */
  async #answer({ headers: { range, [CHOICE]: choice } }: ProxiedRequest): Promise<ProxiedAnswer> {
    const { method, reference } = choice
    const { candidate, value } = await this.#open(choice, range)
    const { status } = value
    const headers = headersOf(value, reference)
    if (method === 'GET' && status !== 416) {
      return { statusCode: status, headers, body: this.#pass(value, candidate, reference) }
    }
    // Nothing is in the answer to a HEAD; destroyed, it would take the connection with it.
    if (method === 'HEAD') value.body.resume()
    else value.body.destroy()
    return { statusCode: status, headers, body: Readable.from([]) }
  }

  /** Its body is the caller's to read or to destroy; those of registries that were asked beside it are destroyed. */
  async #open(
    { method, reference, candidates, signal }: Choice,
    range: string | undefined,
  ): Promise<Found<Content>> {
    const { candidates: registries, clock, sizes, source } = this.#context
    const content = { kind: 'blobs', method, ...(range !== undefined && { range }) } as const
    const others = new Set<Content>()
    try {
      const found = await registries.first({
        what: `the blob ${formatReference(reference)}`,
        candidates,
        signal,
        ask: async (request) => {
          const blob = { ...request, reference: reference.digest ?? '' }
          const answer = await openOrGet(source, blob, content)
          if (!isBlob(answer, range)) throw await contentRefusal(request, answer, clock.now())
          others.add(answer)
          const wrong = range && wrongPart(answer, range, sizes.of(reference))
          if (wrong) throw otherPart(request, answer, wrong)
          return answer
        },
      })
      others.delete(found.value)
      return found
    } finally {
      for (const { body } of others) body.destroy()
    }
  }

  /**
   * Waits for a slot, which the end of the signal gives back.
   *
   * @throws BlobsBusy after `blobWaitMs`
   */
  async #takeSlot(client: string, signal: AbortSignal): Promise<void> {
    const { clock, limits } = this.#context
    const late = new AbortController()
    const cancel = clock.after(limits.blobWaitMs, () => late.abort(new BlobsBusy()))
    const waiting = AbortSignal.any([signal, late.signal])
    const ended = new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    try {
      await new Promise<void>((enter, reject) => {
        const hold = (): Promise<void> => {
          enter()
          return ended
        }
        this.#ofClients.run(client, waiting, () => this.#all.run('', waiting, hold)).catch(reject)
      })
    } finally {
      cancel()
    }
  }

  #pass(answer: Content, candidate: Candidate, reference: Reference): Readable {
    const { clock, limits } = this.#context
    const { silenceMs } = limits
    const bytes = partBytes(answer)
    const expected = bytes === undefined ? { digest: reference.digest ?? '' } : { bytes }
    const body = new BlobBody(answer.body, { clock, silenceMs, expected })
    return body.once('error', (error) => this.#brokeOff(candidate, reference, error))
  }

  /** The client sees its connection end, and asks again. */
  #brokeOff(candidate: Candidate, reference: Reference, error: Error): void {
    if (error instanceof Stalled) return
    const { candidates, health, logger } = this.#context
    const { registry, repository } = candidate
    const { code, message: reason } = toResolveError(error)
    candidates.brokeOff(candidate, reference)
    // A registry with wrong bytes is up; only this blob is not to be had there.
    if (code !== 'DIGEST_INVALID') {
      const message = `broke off: ${reason}`
      health.failure(registry, { code: 'UNAVAILABLE', message, repository })
    }
    logger.warn({ registry, reference: formatReference(reference), reason }, 'a blob broke off')
  }
}

function headersOf(answer: Content, { digest = '' }: Reference) {
  const { status, headers } = answer
  const length = partBytes(answer)?.toString() ?? headers['content-length']
  const range = headers['content-range']
  const whole = status !== 416
  return {
    ...(whole && {
      'content-type': headers['content-type'] ?? 'application/octet-stream',
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'cache-control': 'max-age=31536000',
    }),
    ...(whole && length !== undefined && { 'content-length': length }),
    ...(range !== undefined && { 'content-range': range }),
    'accept-ranges': 'bytes',
  }
}

/**
 * A HEAD that is refused is asked again by GET before it counts, of which nothing but the head is read: some
 * registries refuse HEAD for blobs that they give.
 */
async function openOrGet(
  source: MirrorOptions['source'],
  request: ImageRequest,
  content: ContentRequest,
): Promise<Content> {
  const answer = await open(source, request, content)
  if (content.method === 'GET' || !isDoubtful(answer.status)) return answer
  // Nothing is in it; destroyed, it would take the connection with it.
  answer.body.resume()
  const got = await open(source, request, { ...content, method: 'GET' })
  if (got.status !== 200) return got
  got.body.destroy()
  return { ...got, body: Readable.from([]) }
}

/** The request's signal ends with the failover; the body that was found has to live on. */
async function open(
  source: MirrorOptions['source'],
  request: ImageRequest,
  content: ContentRequest,
): Promise<Content> {
  const own = ownSignal(request.signal)
  try {
    const answer = await source.open({ ...request, signal: own.signal }, content)
    // An error that comes before it is read is told again to its reader.
    answer.body.on('error', () => {})
    if (request.signal.aborted) answer.body.destroy()
    return answer
  } finally {
    own.release()
  }
}

function otherPart(
  { endpoint }: Pick<ImageRequest, 'endpoint'>,
  { status }: Content,
  wrong: string,
): ResolveError {
  const message = `${endpoint.host}: answered with ${oneLine(wrong)}`
  return new ResolveError('DIGEST_INVALID', message, { step: 'manifest', status })
}

function isBlob({ status }: Content, range: string | undefined): boolean {
  return status === 200 || (range !== undefined && (status === 206 || status === 416))
}
