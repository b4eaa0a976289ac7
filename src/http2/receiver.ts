import { ConnectionError } from './errors.ts'
import { ERROR_CODE, FRAME_FLAG, FRAME_TYPE, frame } from './frames.ts'
import { type HeaderList, headerValue, isRequest, isTrailers } from './headers.ts'
import type { Decoded } from './hpack/decoder.ts'
import type { InboundEvents } from './inbound.ts'
import { LIMITS } from './limits.ts'
import type { Sender } from './sender.ts'
import type { Settings } from './settings.ts'
import type { Stream, StreamEnd, StreamHandler } from './stream.ts'
import type { Streams } from './streams.ts'

const NOTHING = Buffer.alloc(0)

/** @returns who is told what else the peer says on the stream */
export type OnStream = (stream: Stream, list: HeaderList, isEnd: boolean) => StreamHandler

/** What the peer's words have an effect on. */
export interface Affected {
  /** No new calls of the peer's are taken. */
  readonly isDraining: boolean
  say(bytes: Buffer): void
  /** A call of the peer's, which nobody listens to yet. */
  accept(id: number, isEnd: boolean, listBytes: number): Stream
  endIfDone(stream: Stream): void
  end(stream: Stream, end: StreamEnd): void
  /** The peer broke the rules within one stream (RFC 9113, section 5.4.2). */
  streamError(stream: Stream, code: number): void
  /** A call of the peer's that nothing was done for. */
  refuse(streamId: number, code: number): void
  /** Too much is queued for the peer: no new calls. */
  readonly isCrowded: boolean
  /** Too much is queued for the peer: no more bodies either. */
  readonly isFull: boolean
  /** Ends a stream for that. */
  crowdOut(stream: Stream): void
  /**
   * The peer sent something that brings no call forward.
   * @throws ConnectionError ENHANCE_YOUR_CALM
   */
  idle(): void
  /** So many bytes that came need no more memory. */
  consumed(bytes: number): void
  /** The peer takes no new calls, and has not looked at those beyond a number. */
  peerGoes(lastStreamId: number): void
  /** There may be places for calls that wait for one. */
  fillPlaces(): void
}

export interface ReceiverOptions {
  readonly role: 'client' | 'server'
  readonly session: Affected
  readonly streams: Streams
  readonly sender: Pick<Sender, 'setInitialWindow' | 'widen' | 'widenStream'>
  /** A call of the peer's; only in the role of the server. */
  readonly onStream: OnStream | undefined
}

/** What the peer says on one connection, by the rules of RFC 9113, sections 5 to 8. */
export class Receiver implements InboundEvents {
  readonly #options: ReceiverOptions
  /** Bytes that the peer may send on the connection. */
  #window: number
  /** Bytes by which it has not been widened yet. */
  #owedBytes = 0

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#window = LIMITS.connectionWindowBytes[options.role]
  }

  onHeaders(streamId: number, decoded: Decoded, isEnd: boolean): void {
    const { role, streams } = this.#options
    const isCall = role === 'server' && streams.get(streamId) === undefined
    if (isCall) this.#begin(streamId, decoded, isEnd)
    else this.#moreHeaders(this.#known(streamId), decoded, isEnd)
  }

  onData(streamId: number, bytes: Buffer, windowBytes: number, isEnd: boolean): void {
    const { session } = this.#options
    this.#window -= windowBytes
    if (this.#window < 0) {
      throw new ConnectionError(
        ERROR_CODE.flowControlError,
        'more than the connection has room for',
      )
    }
    const stream = this.#known(streamId)
    if (stream === undefined) {
      session.consumed(windowBytes)
      this.#lateData(streamId)
      return
    }
    stream.received(windowBytes)
    if (!stream.hasBegunThere) {
      session.streamError(stream, ERROR_CODE.protocolError)
    } else if (stream.hasEndedThere) {
      session.streamError(stream, ERROR_CODE.streamClosed)
    } else if (stream.receiveWindow < 0) {
      session.streamError(stream, ERROR_CODE.flowControlError)
    } else if (session.isFull && bytes.length > 0) {
      session.crowdOut(stream)
    } else if (!isAsAnnounced(stream, bytes.length, isEnd)) {
      session.streamError(stream, ERROR_CODE.protocolError)
    } else {
      stream.hasEndedThere = isEnd
      stream.consumed(windowBytes - bytes.length)
      stream.handler.onData(bytes, isEnd)
      session.endIfDone(stream)
    }
  }

  /** Behind our own reset it was on its way, otherwise the client ended or reset the stream itself. */
  #lateData(streamId: number): void {
    const { role, session, streams } = this.#options
    if (role === 'client' || streams.wasResetHere(streamId)) session.idle()
    else session.refuse(streamId, ERROR_CODE.streamClosed)
  }

  onReset(streamId: number, code: number): void {
    const stream = this.#known(streamId)
    if (stream !== undefined) this.#options.session.end(stream, { how: 'reset', code })
  }

  onSettings({ initialWindowSize, maxConcurrentStreams }: Settings): void {
    const { role, sender, session, streams } = this.#options
    session.say(frame(FRAME_TYPE.settings, FRAME_FLAG.ack, 0, NOTHING))
    if (initialWindowSize !== undefined) sender.setInitialWindow(initialWindowSize, streams.open())
    if (maxConcurrentStreams === undefined || role === 'server') return
    streams.limit(maxConcurrentStreams)
    session.fillPlaces()
  }

  onPing(payload: Buffer): void {
    this.#options.session.say(frame(FRAME_TYPE.ping, FRAME_FLAG.ack, 0, payload))
  }

  onGoAway(lastStreamId: number): void {
    this.#options.session.peerGoes(lastStreamId)
  }

  onWindowUpdate(streamId: number, bytes: number): void {
    const { sender, session } = this.#options
    if (streamId === 0) {
      if (bytes === 0) throw broken('a window is widened by nothing')
      sender.widen(bytes)
      return
    }
    const stream = this.#known(streamId)
    if (stream === undefined) return
    if (bytes === 0) session.streamError(stream, ERROR_CODE.protocolError)
    else if (!sender.widenStream(stream, bytes)) {
      session.streamError(stream, ERROR_CODE.flowControlError)
    }
  }

  /** @returns by how much the peer's window is to be widened now; 0: not yet */
  widen(bytes: number): number {
    this.#owedBytes += bytes
    if (this.#owedBytes < LIMITS.connectionWindowBytes[this.#options.role] / 4) return 0
    const owed = this.#owedBytes
    this.#owedBytes = 0
    this.#window += owed
    return owed
  }

  #begin(streamId: number, { isTooLong, list, listBytes }: Decoded, isEnd: boolean): void {
    const { onStream, session, streams } = this.#options
    if (streamId % 2 === 0) throw broken('a client begins a stream of even number')
    if (streamId <= streams.lastId) {
      // Trailers that were on their way when we reset the stream.
      if (isEnd && headerValue(list, ':method') === undefined) return
      throw new ConnectionError(ERROR_CODE.streamClosed, 'a stream that has ended begins anew')
    }
    const refusal = this.#refusal(list, isTooLong)
    if (refusal !== undefined) {
      streams.pass(streamId)
      session.refuse(streamId, refusal)
      return
    }
    const stream = session.accept(streamId, isEnd, listBytes)
    if (!isTooLong) announce(stream, list)
    if (!isAsAnnounced(stream, 0, isEnd)) {
      session.streamError(stream, ERROR_CODE.protocolError)
    } else if (isTooLong) {
      stream.sendHeaders({ fields: [':status', '431'] }, true)
      stream.resetBehind(ERROR_CODE.noError)
    } else if (onStream !== undefined) {
      stream.handler = onStream(stream, list, isEnd)
    }
  }

  #refusal(list: HeaderList, isTooLong: boolean): number | undefined {
    const { session, streams } = this.#options
    if (session.isDraining || streams.isFull || session.isCrowded) return ERROR_CODE.refusedStream
    return isTooLong || isRequest(list) ? undefined : ERROR_CODE.protocolError
  }

  #moreHeaders(stream: Stream | undefined, { isTooLong, list }: Decoded, isEnd: boolean): void {
    if (stream === undefined) return
    const { session } = this.#options
    const status = stream.hasBegunThere ? '' : (headerValue(list, ':status') ?? '')
    // Nobody is waiting for "more to come" (RFC 9113, section 8.1).
    if (status.startsWith('1') && !isEnd) return
    const isFit = stream.hasBegunThere ? isEnd && isTrailers(list) : /^[2-9]/.test(status)
    if (stream.hasEndedThere) {
      session.streamError(stream, ERROR_CODE.streamClosed)
    } else if (isTooLong || !isFit || !this.#isWhole(stream, list, isEnd)) {
      session.streamError(stream, ERROR_CODE.protocolError)
    } else {
      stream.hasBegunThere = true
      stream.hasEndedThere = isEnd
      stream.handler.onHeaders(list, isEnd)
      session.endIfDone(stream)
    }
  }

  #isWhole(stream: Stream, list: HeaderList, isEnd: boolean): boolean {
    if (!stream.hasBegunThere) announce(stream, list)
    return isAsAnnounced(stream, 0, isEnd)
  }

  /**
   * @returns undefined: it has ended, while the frame was on its way
   * @throws ConnectionError PROTOCOL_ERROR: it never was
   */
  #known(streamId: number): Stream | undefined {
    const { streams } = this.#options
    const stream = streams.get(streamId)
    const hasBeen = streamId % 2 === 1 && streamId <= streams.lastId
    if (stream === undefined && !hasBeen) throw broken('a frame of a stream that never was')
    return stream
  }
}

function announce(stream: Stream, list: HeaderList): void {
  const length = headerValue(list, 'content-length')
  if (length !== undefined) stream.announcedBytes = /^\d{1,15}$/.test(length) ? Number(length) : -1
}

/** Counts bytes of a body. A message of another length than it says is malformed (RFC 9113, 8.1.1). */
function isAsAnnounced(stream: Stream, bytes: number, isEnd: boolean): boolean {
  if (stream.announcedBytes === undefined) return true
  stream.announcedBytes -= bytes
  return isEnd ? stream.announcedBytes === 0 : stream.announcedBytes >= 0
}

function broken(message: string): ConnectionError {
  return new ConnectionError(ERROR_CODE.protocolError, message)
}
