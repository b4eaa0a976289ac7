import { LIMITS } from './limits.ts'

/** What is queued for all peers of a process, in bytes. */
export class QueueTotal {
  readonly maxBytes: number
  bytes = 0
  peers = 0

  constructor(maxBytes: number = LIMITS.queuedBytesInAll) {
    this.maxBytes = maxBytes
  }
}

/**
 * What is held for one peer: header lists, bodies and answers that are not sent yet, on its own
 * connection and on those made for it. A peer is full with its own maximum, and, while the total is
 * above its maximum, with an equal share of that: a peer that holds little is not refused because
 * others hold much.
 */
export class QueuedBytes {
  readonly #total: QueueTotal
  readonly #maxBytes: number
  #bytes = 0
  #isClosed = false

  /** @param maxBytes of this peer alone */
  constructor(total: QueueTotal = new QueueTotal(), maxBytes: number = LIMITS.queuedBytes) {
    this.#total = total
    this.#maxBytes = maxBytes
    total.peers += 1
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Nothing more is to be taken from this peer, nor for it. */
  get isFull(): boolean {
    const { bytes, maxBytes, peers } = this.#total
    if (this.#bytes > this.#maxBytes) return true
    return bytes > maxBytes && this.#bytes > maxBytes / peers
  }

  /** A sixth of the maximum is queued, or the process is under pressure: no more is read ahead. */
  get isBusy(): boolean {
    return this.#bytes > this.#maxBytes / 6 || this.isFull
  }

  /** @param bytes negative: so many are not held any more */
  add(bytes: number): void {
    if (this.#isClosed) return
    this.#bytes += bytes
    this.#total.bytes += bytes
  }

  /** The peer has left, and all that was held for it goes. */
  close(): void {
    if (this.#isClosed) return
    this.add(-this.#bytes)
    this.#total.peers -= 1
    this.#isClosed = true
  }
}
