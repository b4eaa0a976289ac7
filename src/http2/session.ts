import type { FrameWriter } from './frame-writer.ts'
import { ERROR_CODE, FRAME_TYPE, numberFrame } from './frames.ts'
import type { InboundEvents } from './inbound.ts'
import type { IdleFrames, QueuedBytes } from './limits.ts'
import { LIMITS } from './limits.ts'
import { type OnStream, Receiver, type ReceiverSession } from './receiver.ts'
import { Sender } from './sender.ts'
import { Stream, type StreamEnd, type StreamHandler, type StreamOwner } from './stream.ts'
import { Streams } from './streams.ts'

export interface SessionOptions {
  readonly role: 'client' | 'server'
  readonly writer: FrameWriter
  readonly queue: QueuedBytes
  /** For the connection of a client; absent: the peer is a server. */
  readonly idleFrames: IdleFrames | undefined
  /** Called for each call of the peer; only in the server role. */
  readonly onStream: OnStream | undefined
  readonly onGoAway: () => void
  /** The last stream has ended. */
  readonly onIdle: () => void
  /** Sending failed, and the connection cannot go on. */
  readonly onFailed: (error: unknown) => void
  /** A handler threw when its stream ended. */
  readonly onDefect: (error: unknown) => void
}

/** The streams of one connection: how they begin, and how they end. */
export class Session implements ReceiverSession, StreamOwner {
  readonly #options: SessionOptions
  readonly #streams = new Streams(LIMITS.streams)
  readonly #sender: Sender
  readonly #receiver: Receiver
  /** Headers and objects of the peer's open calls. */
  #callBytes = 0
  #isDraining = false
  #isOver = false
  #late: NodeJS.Timeout | undefined

  constructor(options: SessionOptions) {
    const { idleFrames, onFailed, onStream, writer, role } = options
    this.#options = options
    this.#sender = new Sender({
      writer,
      idleFrames,
      place: (stream) => this.#place(stream),
      onEnded: (stream) => {
        stream.hasEndedHere = true
        this.endIfDone(stream)
      },
      onReset: (stream, code) => this.reset(stream, code),
      onFailed,
    })
    const [sender, streams] = [this.#sender, this.#streams]
    this.#receiver = new Receiver({ role, session: this, streams, sender, onStream })
  }

  /** Receives the frames of the peer. */
  get events(): InboundEvents {
    return this.#receiver
  }

  get isEmpty(): boolean {
    return this.#streams.isEmpty
  }

  get refusesCalls(): boolean {
    return this.#callBytes > LIMITS.callBytes || this.isFull
  }

  get isFull(): boolean {
    return this.#options.queue.isFull
  }

  get isExhausted(): boolean {
    return this.#streams.isExhausted
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** For GOAWAY. */
  get lastPeerStreamId(): number {
    return this.#options.role === 'server' ? this.#streams.lastId : 0
  }

  /** A new call, which Stream.begin starts; only in the client role. */
  open(handler: StreamHandler): Stream {
    const stream = new Stream(this, 0, LIMITS.streamWindowBytes.client, handler)
    this.#streams.wait(stream)
    return stream
  }

  accept(id: number, isEnd: boolean, listBytes: number): Stream {
    const cost = LIMITS.streamCostBytes + listBytes
    this.#callBytes += cost
    const stream = new Stream(this, id, LIMITS.streamWindowBytes.server, NO_HANDLER, cost)
    this.#streams.add(stream)
    this.#sender.opened(stream)
    stream.hasBegunThere = true
    stream.hasEndedThere = isEnd
    return stream
  }

  write(bytes: Buffer): void {
    this.#options.writer.add(bytes)
    this.#sender.schedule()
  }

  /** Sent with what is written next, or soon. */
  writeLate(bytes: Buffer): void {
    this.#options.writer.add(bytes)
    this.#late ??= setTimeout(() => {
      this.#late = undefined
      this.#sender.schedule()
    }, LIMITS.lateMs)
  }

  /** The transport has room again. */
  resume(): void {
    this.#sender.schedule()
  }

  placeWaiting(): void {
    for (const stream of this.#streams.placeable()) this.#sender.ready(stream)
  }

  drain(): void {
    this.#isDraining = true
  }

  peerGoesAway(lastStreamId: number): void {
    this.#options.onGoAway()
    if (this.#options.role === 'server') return
    this.#isOver = true
    for (const stream of this.#all()) {
      if (stream.id !== 0 && stream.id <= lastStreamId) continue
      // Not processed by the peer, so that clients may retry (RFC 9113, section 8.7).
      this.end(stream, { how: 'reset', code: ERROR_CODE.refusedStream })
    }
  }

  cancelAll(): void {
    for (const stream of this.#all()) stream.reset(ERROR_CODE.cancel)
  }

  connectionLost(): void {
    this.#isOver = true
    for (const stream of this.#all()) this.end(stream, { how: 'lost' })
  }

  ready(stream: Stream): void {
    this.#sender.ready(stream)
  }

  credit(stream: Stream, bytes: number): void {
    stream.receiveWindow += bytes
    this.write(numberFrame(FRAME_TYPE.windowUpdate, stream.id, bytes))
  }

  consumed(bytes: number): void {
    const more = this.#receiver.widen(bytes)
    if (more > 0) this.write(numberFrame(FRAME_TYPE.windowUpdate, 0, more))
  }

  queued(bytes: number): void {
    this.#options.queue.add(bytes)
  }

  reset(stream: Stream, code: number): void {
    this.#reset(stream, code, { how: 'local' })
  }

  streamError(stream: Stream, code: number): void {
    this.#reset(stream, code, { how: 'streamError' })
    this.idle()
  }

  endOverloaded(stream: Stream): void {
    this.#reset(stream, ERROR_CODE.enhanceYourCalm, { how: 'overload' })
    this.idle()
  }

  idle(): void {
    this.#options.idleFrames?.spend()
  }

  refuse(streamId: number, code: number): void {
    this.write(numberFrame(FRAME_TYPE.rstStream, streamId, code))
    this.#streams.remember(streamId)
    this.idle()
  }

  endIfDone(stream: Stream): void {
    if (stream.hasEndedHere && stream.hasEndedThere) this.end(stream, { how: 'done' })
  }

  end(stream: Stream, end: StreamEnd): void {
    if (stream.isClosed) return
    stream.isClosed = true
    this.#streams.delete(stream)
    this.#sender.forget(stream)
    this.#callBytes -= stream.costBytes
    try {
      stream.handler.onEnd(end)
    } catch (error) {
      this.#options.onDefect(error)
    }
    if (!this.#isOver) this.placeWaiting()
    if (this.#streams.isEmpty) this.#options.onIdle()
  }

  #all(): readonly Stream[] {
    return [...this.#streams.open(), ...this.#streams.waiting()]
  }

  #place(stream: Stream): number | undefined {
    if (!this.#isOver && !this.#streams.isExhausted) return this.#streams.place(stream)
    this.end(stream, { how: 'lost' })
    return undefined
  }

  #reset(stream: Stream, code: number, end: StreamEnd): void {
    if (stream.id !== 0) {
      this.write(numberFrame(FRAME_TYPE.rstStream, stream.id, code))
      this.#streams.remember(stream.id)
    }
    this.end(stream, end)
  }
}

/** For streams that the session answers by itself. */
const NO_HANDLER: StreamHandler = { onHeaders() {}, onData() {}, onDrain() {}, onEnd() {} }
