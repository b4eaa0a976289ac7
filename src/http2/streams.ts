import { MAX_INT31 } from './frames.ts'
import { LIMITS } from './limits.ts'
import type { Stream } from './stream.ts'

/** The open streams of one connection by number, and outgoing streams that wait for a number. */
export class Streams {
  readonly #open = new Map<number, Stream>()
  readonly #waiting = new Set<Stream>()
  readonly #resetHere = new Set<number>()
  #lastId = 0
  #maxOpen: number

  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen
  }

  /** The highest number that was used. */
  get lastId(): number {
    return this.#lastId
  }

  get isFull(): boolean {
    return this.#open.size >= this.#maxOpen
  }

  get isEmpty(): boolean {
    return this.#open.size === 0 && this.#waiting.size === 0
  }

  /** No number is left for an outgoing stream. */
  get isExhausted(): boolean {
    return this.#lastId > MAX_INT31 - 2
  }

  get(id: number): Stream | undefined {
    return this.#open.get(id)
  }

  open(): readonly Stream[] {
    return [...this.#open.values()]
  }

  waiting(): readonly Stream[] {
    return [...this.#waiting]
  }

  /** Waiting streams that have their headers and fit below the limit, in order. */
  placeable(): readonly Stream[] {
    const first: Stream[] = []
    for (const stream of this.#waiting) {
      if (this.#open.size + first.length >= this.#maxOpen) break
      if (stream.next()?.kind === 'headers') first.push(stream)
    }
    return first
  }

  limit(maxOpen: number): void {
    this.#maxOpen = maxOpen
  }

  /** Adds a stream of the peer; its number is higher than all before. */
  add(stream: Stream): void {
    this.#lastId = stream.id
    this.#open.set(stream.id, stream)
  }

  /** The peer used the number of a stream that was refused. */
  pass(id: number): void {
    this.#lastId = id
  }

  wait(stream: Stream): void {
    this.#waiting.add(stream)
  }

  /** @returns a number for an outgoing stream; undefined: the limit is reached */
  place(stream: Stream): number | undefined {
    if (this.isFull || this.isExhausted) return undefined
    this.#lastId += this.#lastId === 0 ? 1 : 2
    this.#waiting.delete(stream)
    this.#open.set(this.#lastId, stream)
    return this.#lastId
  }

  /** After a reset from here, frames that were under way are no mistake of the peer. */
  remember(id: number): void {
    this.#resetHere.add(id)
    if (this.#resetHere.size <= LIMITS.rememberedResets) return
    const [oldest = 0] = this.#resetHere
    this.#resetHere.delete(oldest)
  }

  wasResetHere(id: number): boolean {
    return this.#resetHere.has(id)
  }

  delete(stream: Stream): void {
    this.#open.delete(stream.id)
    this.#waiting.delete(stream)
  }
}
