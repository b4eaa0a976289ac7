import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Clock } from '../../concurrency/clock.ts'
import { ResolveError } from '../../errors.ts'
import { parseDigest } from '../../reference/digest.ts'
import { giveBack } from '../../registry/transport/read-buffers.ts'

export interface BlobBodyOptions {
  /** The digest of the whole blob, or how many bytes a part has, which clients verify with the whole. */
  readonly expected: { readonly digest: string } | { readonly bytes: number }
  /** How long the client may leave what it was sent unread. */
  readonly silenceMs: number
  readonly clock: Clock
}

/** The client did not read for too long. */
export class Stalled extends Error {
  override readonly name = 'Stalled'
}

/** Of one blob, before the registry has to wait for the client. */
const BUFFERED_BYTES = 64 * 1024

/**
 * A registry's bytes on their way to a client, hashed as they pass. One piece is always held back, so that a
 * client does not have them all before it is known whether they are the right ones. One stream does all of
 * it: each stream more on the way costs as much as reading and writing the bytes.
 *
 * Fails with DIGEST_INVALID for other bytes than those of the digest, with Stalled, or as the source does.
 */
export class BlobBody extends Readable {
  readonly #source: Readable
  readonly #options: BlobBodyOptions
  #passedAt: number
  #cancel: () => void = () => {}

  constructor(source: Readable, options: BlobBodyOptions) {
    super({ highWaterMark: BUFFERED_BYTES })
    this.#source = source
    this.#options = options
    this.#passedAt = options.clock.now()
    this.#watch(options.silenceMs)
    this.#verify(options)
    source.once('error', (error) => this.destroy(error))
    // After its end or its error this is without effect.
    source.once('close', () => {
      if (!source.readableEnded) this.destroy(new Error('the registry broke off'))
    })
  }

  override _read(): void {
    this.#source.resume()
  }

  /** As Node's own, which does not tell when a piece is sent: only then may its memory be read into again. */
  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    this.on('data', (chunk: Buffer) => {
      const sent = (error?: Error | null): void => {
        if (error == null) giveBack(chunk)
      }
      if (!destination.write(chunk, sent)) this.pause()
    })
    destination.on('drain', () => this.resume())
    this.once('end', () => destination.end())
    return destination
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#cancel()
    this.#source.destroy()
    done(error)
  }

  #verify({ expected }: BlobBodyOptions): void {
    const check = 'digest' in expected ? ofDigest(expected.digest) : ofBytes(expected.bytes)
    let held: Buffer | undefined
    this.#source.on('data', (chunk: Buffer) => {
      if (!check.mayBegin(chunk)) return void this.destroy(mismatch(check.what))
      if (held !== undefined) this.#pass(held)
      held = chunk
    })
    this.#source.once('end', () => {
      if (!check.isWhole()) return void this.destroy(mismatch(check.what))
      if (held !== undefined) this.push(held)
      this.push(null)
    })
  }

  #pass(chunk: Buffer): void {
    this.#passedAt = this.#options.clock.now()
    if (!this.push(chunk)) this.#source.pause()
  }

  /** The registry has a shorter limit for its silence: what takes as long as this is the client's. */
  #watch(ms: number): void {
    const { clock, silenceMs } = this.#options
    this.#cancel = clock.after(ms, () => {
      const leftMs = this.#passedAt + silenceMs - clock.now()
      if (leftMs > 0) this.#watch(leftMs)
      else this.destroy(new Stalled(`nothing was read for ${silenceMs} ms`))
    })
  }
}

interface Check {
  /** For the error. */
  readonly what: string
  /** @returns false: these bytes and those before are more than there may be */
  mayBegin(chunk: Buffer): boolean
  isWhole(): boolean
}

function ofDigest(digest: string): Check {
  const { algorithm, hex } = parseDigest(digest)
  const hash = createHash(algorithm)
  return {
    what: `those of ${digest}`,
    mayBegin: (chunk) => hash.update(chunk) !== undefined,
    isWhole: () => hash.digest('hex') === hex,
  }
}

function ofBytes(bytes: number): Check {
  let left = bytes
  return {
    what: `the ${bytes} of the part that was asked for`,
    mayBegin: ({ length }) => {
      left -= length
      return left >= 0
    },
    isWhole: () => left === 0,
  }
}

function mismatch(what: string): ResolveError {
  const message = `the registry's bytes are not ${what}`
  return new ResolveError('DIGEST_INVALID', message, { step: 'manifest', status: 200 })
}
