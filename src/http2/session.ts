import type { FrameWriter } from './frame-writer.ts'
import { ERROR_CODE, FRAME_TYPE, numberFrame } from './frames.ts'
import type { IdleFrames } from './idle-frames.ts'
import type { InboundEvents } from './inbound.ts'
import { LIMITS } from './limits.ts'
import type { QueuedBytes } from './queued-bytes.ts'
import { type Affected, type OnStream, Receiver } from './receiver.ts'
import { Sender } from './sender.ts'
import { Stream, type StreamEnd, type StreamHandler, type StreamOwner } from './stream.ts'
import { Streams } from './streams.ts'

export interface SessionOptions {
  readonly role: 'client' | 'server'
  readonly writer: FrameWriter
  readonly queue: QueuedBytes
  /** Of a client; absent: the peer is a server. */
  readonly idleFrames: IdleFrames | undefined
  /** A call of the peer's; only in the role of the server. */
  readonly onStream: OnStream | undefined
  readonly onGoAway: () => void
  /** The last stream has ended. */
  readonly onIdle: () => void
  /** What was to be sent cannot be. */
  readonly onFailed: (error: unknown) => void
  /** Something of ours went wrong when a stream ended. */
  readonly onDefect: (error: unknown) => void
}

/** The streams of one connection, from their beginning to their end. */
export class Session implements Affected, StreamOwner {
  readonly #options: SessionOptions
  readonly #streams = new Streams(LIMITS.streams)
  readonly #sender: Sender
  readonly #receiver: Receiver
  /** Of the calls under way that the peer has begun. */
  #callBytes = 0
  #isDraining = false
  #isOver = false

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

  /** Told what the peer says. */
  get events(): InboundEvents {
    return this.#receiver
  }

  get isEmpty(): boolean {
    return this.#streams.isEmpty
  }

  get isCrowded(): boolean {
    return this.#callBytes > LIMITS.callBytes || this.isFull
  }

  get isFull(): boolean {
    return this.#options.queue.isFull
  }

  get isSpent(): boolean {
    return this.#streams.isSpent
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** The highest number of a stream of the peer's. */
  get lastHeardId(): number {
    return this.#options.role === 'server' ? this.#streams.lastId : 0
  }

  /** A call of our own, which Stream.begin begins; only in the role of the client. */
  open(handler: StreamHandler): Stream {
    const stream = new Stream(this, 0, LIMITS.streamWindowBytes, handler)
    this.#streams.wait(stream)
    return stream
  }

  accept(id: number, isEnd: boolean, listBytes: number): Stream {
    const cost = LIMITS.streamCostBytes + listBytes
    this.#callBytes += cost
    const stream = new Stream(this, id, LIMITS.streamWindowBytes, UNHEARD, cost)
    this.#streams.add(stream)
    this.#sender.opened(stream)
    stream.hasBegunThere = true
    stream.hasEndedThere = isEnd
    return stream
  }

  say(bytes: Buffer): void {
    this.#options.writer.add(bytes)
    this.#sender.schedule()
  }

  /** There is room again for what waits. */
  resume(): void {
    this.#sender.schedule()
  }

  fillPlaces(): void {
    for (const stream of this.#streams.placeable()) this.#sender.ready(stream)
  }

  refuseNew(): void {
    this.#isDraining = true
  }

  peerGoes(lastStreamId: number): void {
    this.#options.onGoAway()
    if (this.#options.role === 'server') return
    this.#isOver = true
    for (const stream of this.#all()) {
      if (stream.id !== 0 && stream.id <= lastStreamId) continue
      // Nobody has looked at it: clients try it again by themselves (RFC 9113, section 8.7).
      this.end(stream, { how: 'reset', code: ERROR_CODE.refusedStream })
    }
  }

  cancelAll(): void {
    for (const stream of this.#all()) stream.reset(ERROR_CODE.cancel)
  }

  endAll(): void {
    this.#isOver = true
    for (const stream of this.#all()) this.end(stream, { how: 'gone' })
  }

  ready(stream: Stream): void {
    this.#sender.ready(stream)
  }

  credit(stream: Stream, bytes: number): void {
    stream.receiveWindow += bytes
    this.say(numberFrame(FRAME_TYPE.windowUpdate, stream.id, bytes))
  }

  consumed(bytes: number): void {
    const more = this.#receiver.widen(bytes)
    if (more > 0) this.say(numberFrame(FRAME_TYPE.windowUpdate, 0, more))
  }

  queued(bytes: number): void {
    this.#options.queue.add(bytes)
  }

  reset(stream: Stream, code: number): void {
    this.#reset(stream, code, { how: 'ours' })
  }

  streamError(stream: Stream, code: number): void {
    this.#reset(stream, code, { how: 'streamError' })
    this.idle()
  }

  crowdOut(stream: Stream): void {
    this.#reset(stream, ERROR_CODE.enhanceYourCalm, { how: 'full' })
    this.idle()
  }

  idle(): void {
    this.#options.idleFrames?.spend()
  }

  refuse(streamId: number, code: number): void {
    this.say(numberFrame(FRAME_TYPE.rstStream, streamId, code))
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
    if (!this.#isOver) this.fillPlaces()
    if (this.#streams.isEmpty) this.#options.onIdle()
  }

  #all(): readonly Stream[] {
    return [...this.#streams.open(), ...this.#streams.waiting()]
  }

  #place(stream: Stream): number | undefined {
    if (!this.#isOver && !this.#streams.isSpent) return this.#streams.place(stream)
    this.end(stream, { how: 'gone' })
    return undefined
  }

  #reset(stream: Stream, code: number, end: StreamEnd): void {
    if (stream.id !== 0) {
      this.say(numberFrame(FRAME_TYPE.rstStream, stream.id, code))
      this.#streams.remember(stream.id)
    }
    this.end(stream, end)
  }
}

/** Nobody is told what happens on a stream that is answered here. */
const UNHEARD: StreamHandler = { onHeaders() {}, onData() {}, onDrain() {}, onEnd() {} }
