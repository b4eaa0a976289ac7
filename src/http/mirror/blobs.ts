import { pipeline, type Readable } from 'node:stream'
import { Semaphore } from '../../concurrency/semaphore.ts'
import { toResolveError } from '../../errors.ts'
import { formatReference, type Reference } from '../../reference/reference.ts'
import type { Content } from '../../registry/content.ts'
import type { Candidate } from '../../resolver/types.ts'
import type { MirrorContext } from './context.ts'
import { BlobsBusy } from './failure.ts'
import { openBlob } from './open-blob.ts'
import { Stalled, unlessStalled } from './stalled.ts'
import { verified } from './verified.ts'

export interface BlobRequest {
  readonly method: 'GET' | 'HEAD'
  /** With the blob's digest. */
  readonly reference: Reference
  /** As the client sent it; a HEAD is of the whole, whatever it says (RFC 9110, section 14.2). */
  readonly range: string | undefined
  /** As clientKey tells them apart. */
  readonly client: string
  readonly signal: AbortSignal
}

export interface BlobAnswer {
  readonly status: 200 | 206 | 416
  readonly headers: Readonly<Record<string, string>>
  /** Absent: none is due. */
  readonly body?: Readable
}

/** One range; a server may ignore any other wish (RFC 9110, section 14.2). */
const RANGE = /^bytes=(?:\d+-\d*|-\d+)$/

/** Streams blobs from the best place that has them. Nothing is kept but the piece that passes. */
export class Blobs {
  readonly #context: MirrorContext
  readonly #all: Semaphore
  readonly #ofClients: Semaphore

  constructor(context: MirrorContext) {
    this.#context = context
    this.#all = new Semaphore(context.limits.blobs)
    this.#ofClients = new Semaphore(context.limits.blobsPerClient)
  }

  /** @throws ResolveError MANIFEST_UNKNOWN when no registry has it, BlobsBusy when no slot becomes free */
  async answer({ range: wish, ...request }: BlobRequest): Promise<BlobAnswer> {
    const { client, method, reference, signal } = request
    const isPart = method === 'GET' && wish !== undefined && RANGE.test(wish)
    const range = isPart ? wish : undefined
    const leave = method === 'GET' ? await this.#slot(client, signal) : () => {}
    try {
      const { candidate, value } = await this.#open(method, reference, range, signal)
      const headers = headersOf(value, reference)
      if (method === 'GET' && (value.status === 200 || value.status === 206)) {
        const body = this.#pass(value, candidate, reference, leave)
        return { status: value.status, headers, body }
      }
      // Nothing is in the answer to a HEAD; destroyed, it would take the connection with it.
      if (method === 'HEAD') value.body.resume()
      else value.body.destroy()
      leave()
      return { status: value.status === 416 ? 416 : 200, headers }
    } catch (thrown) {
      leave()
      throw thrown
    }
  }

  #open(
    method: 'GET' | 'HEAD',
    reference: Reference,
    range: string | undefined,
    signal: AbortSignal,
  ) {
    const { clock, places, search, source } = this.#context
    return openBlob(search, source, clock, {
      what: `the blob ${formatReference(reference)}`,
      reference,
      content: { method, ...(range !== undefined && { range }) },
      candidates: places.ofBlob(reference),
      signal,
    })
  }

  /**
   * Waits for a slot.
   *
   * @returns gives it back
   * @throws BlobsBusy after `blobWaitMs`
   */
  async #slot(client: string, signal: AbortSignal): Promise<() => void> {
    const { clock, limits } = this.#context
    const late = new AbortController()
    const cancel = clock.after(limits.blobWaitMs, () => late.abort(new BlobsBusy()))
    const waiting = AbortSignal.any([signal, late.signal])
    try {
      return await new Promise((enter, reject) => {
        const pass = (): Promise<void> => new Promise((leave) => enter(leave))
        this.#ofClients.run(client, waiting, () => this.#all.run('', waiting, pass)).catch(reject)
      })
    } finally {
      cancel()
    }
  }

  #pass(
    { body, status }: Content,
    candidate: Candidate,
    reference: Reference,
    leave: () => void,
  ): Readable {
    const { clock, limits } = this.#context
    // A part cannot be verified; who puts parts together does that with the whole.
    const checks = status === 200 ? [verified(reference.digest ?? '')] : []
    const end = unlessStalled(limits.silenceMs, clock)
    pipeline([body, ...checks, end], (error) => {
      leave()
      if (error) this.#brokeOff(candidate, reference, error)
    })
    return end
  }

  /** The client hears of it by its connection's end, and asks again. */
  #brokeOff(candidate: Candidate, reference: Reference, error: NodeJS.ErrnoException): void {
    const isClient = error instanceof Stalled || error.code === 'ERR_STREAM_PREMATURE_CLOSE'
    if (isClient) return
    const { health, logger, places } = this.#context
    const { registry, repository } = candidate
    const { code, message: reason } = toResolveError(error)
    places.brokeOff(candidate, reference)
    // A registry with wrong bytes is up; only this blob is not to be had there.
    if (code !== 'DIGEST_INVALID') {
      const message = `broke off: ${reason}`
      health.failure(registry, { code: 'UNAVAILABLE', message, repository })
    }
    logger.warn({ registry, reference: formatReference(reference), reason }, 'a blob broke off')
  }
}

function headersOf({ status, headers }: Content, { digest = '' }: Reference) {
  const length = headers['content-length']
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
