import { ConnectionError, ERROR_CODE } from './frames.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Every bound of this folder. */
export const LIMITS = {
  /** Concurrent streams of a connection. A kubelet with 250 pods has some hundred; grpc-go waits above it. */
  streams: 1_024,
  /** Bytes of one header list as RFC 9113, 10.5.1 counts them; advertised. Metadata of 50 KB occurs. */
  headerListBytes: 128 * KIB,
  /** Bytes of one header block on the wire: a list of the largest size, badly compressed. */
  headerBlockBytes: 256 * KIB,
  /** Frames of one header block: the largest takes 16. Empty ones cost time and no bytes. */
  headerBlockFrames: 64,
  /** Bytes that a peer may send on one stream before they are consumed, by the role of this end. */
  streamWindowBytes: { server: 64 * KIB, client: 256 * KIB },
  /**
   * The same for all streams of a connection. Requests have a few KiB, and what a runtime does not read
   * of them stays in this process; of answers four full streams, so that lists that are read slowly do
   * not block others.
   */
  connectionWindowBytes: { server: 128 * KIB, client: MIB },
  /** What libuv reads at once. After a chunk of this size the other clients are served. */
  chunkBytes: 64 * KIB,
  /** Bytes of the header lists and objects of a connection's calls; above it REFUSED_STREAM. */
  callBytes: 8 * MIB,
  /** Bytes that a stream counts beside its headers: its objects on both hops, measured. */
  streamCostBytes: 4 * KIB,
  /** Bytes queued for one peer. A list of 16 MiB, gRPC's largest for a kubelet, may be among them. */
  queuedBytes: 24 * MIB,
  /** Bytes queued for all peers. Above it each peer has an equal share, so that twice as much is the most. */
  queuedBytesInAll: 24 * MIB,
  /** Unsent bytes of a transport above which bodies and headers wait in their streams. */
  unsentBytes: 256 * KIB,
  /** Unsent bytes above which the connection is closed: acknowledgements that the peer does not read. */
  unreadBytes: MIB,
  /**
   * Frames of a client that make no progress in any call: resets, PING, SETTINGS, PRIORITY, WINDOW_UPDATE,
   * CONTINUATION, DATA that is empty or for a stream that has ended, and streams that are reset here for
   * their mistakes (CVE-2023-44487, CVE-2025-8671, CVE-2019-9512, 9515, 9518). Enough to cancel every
   * stream of a connection twice at once.
   */
  idleFrames: 2_048,
  /** Refilled each second: enough for an idle client that cancels and probes. */
  idleFramesPerSecond: 200,
  /** Refilled for each frame of an answer: grpc-go sends a PING and two WINDOW_UPDATEs for one. */
  idleFramesPerAnswer: 4,
  /** Numbers of streams that were reset here, so that frames that were under way are ignored. */
  rememberedResets: 1_024,
  /** Milliseconds until the SETTINGS of a server, as grpc-go waits for a connection. */
  settingsMs: 20_000,
  /** Milliseconds that the answer to a PING may wait for other frames; keepalive of gRPC waits a second at least. */
  lateMs: 10,
  /** Milliseconds in which the peer can read the last frames. */
  lingerMs: 500,
} as const

/** Bytes queued for all peers of a process. */
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
 * connection and on those made for it. A peer is full at its own maximum and, while the total is above
 * its maximum, at an equal share of the total: a peer that holds little is not refused because others
 * hold much.
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

  /** Nothing more may be queued for this peer. */
  get isFull(): boolean {
    const { bytes, maxBytes, peers } = this.#total
    if (this.#bytes > this.#maxBytes) return true
    return bytes > maxBytes && this.#bytes > maxBytes / peers
  }

  /** A sixth of the maximum is queued, or the process is under pressure: nothing is read ahead. */
  get isBusy(): boolean {
    return this.#bytes > this.#maxBytes / 6 || this.isFull
  }

  /** @param bytes negative: released */
  add(bytes: number): void {
    if (this.#isClosed) return
    this.#bytes += bytes
    this.#total.bytes += bytes
  }

  /** The peer has left; everything that was held for it is released. */
  close(): void {
    if (this.#isClosed) return
    this.add(-this.#bytes)
    this.#total.peers -= 1
    this.#isClosed = true
  }
}

/**
 * A token bucket of frames that make no progress in any call. They cost a client nothing, so a flood of
 * them ends its connection. Time and answers refill it.
 */
export class IdleFrames {
  readonly #now: () => number
  #left: number = LIMITS.idleFrames
  #refilledAt: number

  /** @param now milliseconds of a monotonic clock */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#refilledAt = now()
  }

  /** @throws ConnectionError ENHANCE_YOUR_CALM when the bucket is empty */
  spend(): void {
    if (this.#left === 0) this.#refill()
    if (this.#left === 0) {
      const message = 'too many frames that make no progress in any call'
      throw new ConnectionError(ERROR_CODE.enhanceYourCalm, message)
    }
    this.#left -= 1
  }

  /** A frame of an answer was sent. */
  earn(): void {
    this.#left = Math.min(this.#left + LIMITS.idleFramesPerAnswer, LIMITS.idleFrames)
  }

  #refill(): void {
    const now = this.#now()
    const earned = Math.floor(((now - this.#refilledAt) * LIMITS.idleFramesPerSecond) / 1_000)
    if (earned === 0) return
    this.#refilledAt = now
    this.#left = Math.min(earned, LIMITS.idleFrames)
  }
}
