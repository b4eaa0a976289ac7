import { setTimeout as wait } from 'node:timers/promises'
import type { ResolveResponse } from '../../api/v1/resolve.ts'
import { type ImageResolverClient, ImageResolverError } from '../client.ts'
import { DEFAULT_WAIT_MS, ResolveError } from '../errors.ts'

/** What is said of a reference beside it; those with the same go together. */
interface Asked {
  readonly platform?: string
  readonly verify?: 'all'
}

interface Waiting {
  readonly reference: string
  readonly asked: Asked
  resolve(answer: ResolveResponse): void
  reject(thrown: unknown): void
}

/** References of one `POST /resolve`: the service resolves 12 at once, each within 20 s, and all within 5 minutes. */
const MAX_REFERENCES = 100
/** Of these: a body may have 256 KiB, and JSON takes up to 6 bytes for one. */
const MAX_CHARACTERS = 40_000
/** Half of those that the service answers one client at a time. */
const BATCHES_AT_ONCE = 2
/** In a row, for one batch. */
const MAX_REFUSALS = 10
const MAX_WAIT_MS = 60_000

/** References that should wait here at a time, for batches to be full. */
export const REFERENCES_AT_ONCE = MAX_REFERENCES * (BATCHES_AT_ONCE + 1)

/** Asks a service for many references, in a few `POST /resolve` that each have many. */
export class ResolveBatches {
  readonly #client: Pick<ImageResolverClient, 'resolveMany'>
  readonly #signal: AbortSignal
  #waiting: Waiting[] = []
  #running = 0

  /** @param signal ends what is asked */
  constructor(client: Pick<ImageResolverClient, 'resolveMany'>, signal: AbortSignal) {
    this.#client = client
    this.#signal = signal
  }

  /** @returns rejects with ImageResolverError for what the service says, and with what `fetch` throws */
  resolve(reference: string, asked: Asked): Promise<ResolveResponse> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ reference, asked, resolve, reject })
      // Those that are asked for in the same turn of the event loop go together.
      if (this.#waiting.length === 1) setImmediate(() => this.#begin())
    })
  }

  #begin(): void {
    while (this.#running < BATCHES_AT_ONCE && this.#waiting.length > 0) {
      const batch = this.#nextBatch()
      this.#running += 1
      void this.#send(batch).finally(() => {
        this.#running -= 1
        this.#begin()
      })
    }
  }

  #nextBatch(): Waiting[] {
    const batch: Waiting[] = []
    const others: Waiting[] = []
    const terms = JSON.stringify(this.#waiting[0]?.asked)
    let characters = 0
    for (const one of this.#waiting) {
      const length = characters + one.reference.length
      const fits = batch.length === 0 || (batch.length < MAX_REFERENCES && length <= MAX_CHARACTERS)
      if (fits && JSON.stringify(one.asked) === terms) {
        batch.push(one)
        characters = length
      } else others.push(one)
    }
    this.#waiting = others
    return batch
  }

  /** Never rejects. What comes before an answer breaks off counts; the rest is asked for again. */
  async #send(batch: Waiting[]): Promise<void> {
    const { asked = {} } = batch[0] ?? {}
    for (let refusals = 0; batch.length > 0; ) {
      const { length } = batch
      try {
        await this.#ask(batch, asked)
      } catch (thrown) {
        const waitMs = pauseOf(thrown)
        if (batch.length < length) refusals = 0
        else if (waitMs === undefined || refusals >= MAX_REFUSALS) {
          for (const { reject } of batch.splice(0)) reject(thrown)
        } else {
          refusals += 1
          await wait(waitMs, undefined, { signal: this.#signal }).catch(() => {})
        }
      }
    }
  }

  /** Takes out of the batch what is answered. @throws where not all is */
  async #ask(batch: Waiting[], asked: Asked): Promise<void> {
    const signal = this.#signal
    const references = batch.map(({ reference }) => reference)
    for await (const { answer, error } of this.#client.resolveMany(references, {
      ...asked,
      signal,
    })) {
      const one = batch.shift()
      const [failure] = error?.errors ?? []
      if (answer !== undefined) one?.resolve(answer)
      else if (failure !== undefined) one?.reject(new ImageResolverError(failure, 200))
      else one?.reject(new ResolveError('UNKNOWN', 'the service answers without a result'))
    }
    if (batch.length === 0) return
    throw new ResolveError('UNAVAILABLE', `its answer ends before ${batch.length} of its results`)
  }
}

/** How long a service wants to be left alone. */
function pauseOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof ImageResolverError) || thrown.code !== 'TOOMANYREQUESTS') return undefined
  return Math.min(thrown.retryAfterMs ?? DEFAULT_WAIT_MS, MAX_WAIT_MS)
}
