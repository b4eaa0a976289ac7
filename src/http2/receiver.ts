import {
  ConnectionError,
  ERROR_CODE,
  FRAME_FLAG,
  FRAME_TYPE,
  frame,
  protocolError,
  type Settings,
} from './frames.ts'
import { type HeaderList, headerValue, isRequest, isTrailers } from './headers.ts'
import type { Decoded } from './hpack/decoder.ts'
import type { InboundEvents } from './inbound.ts'
import { LIMITS } from './limits.ts'
import type { Sender } from './sender.ts'
import type { Stream, StreamEnd, StreamHandler } from './stream.ts'
import type { Streams } from './streams.ts'

const NOTHING = Buffer.alloc(0)

/** @returns the handler of everything else on the stream */
export type OnStream = (stream: Stream, list: HeaderList, isEnd: boolean) => StreamHandler

/** The session, as far as received frames change it. */
export interface ReceiverSession {
  /** Calls of the peer are refused. */
  readonly isDraining: boolean
  write(bytes: Buffer): void
  /** Sent with what is written next, or soon. */
  writeLate(bytes: Buffer): void
  /** Registers a call of the peer, without a handler yet. */
  accept(id: number, isEnd: boolean, listBytes: number): Stream
  endIfDone(stream: Stream): void
  end(stream: Stream, end: StreamEnd): void
  /** A mistake of the peer within one stream (RFC 9113, section 5.4.2). */
  streamError(stream: Stream, code: number): void
  /** Resets a call of the peer that was not processed. */
  refuse(streamId: number, code: number): void
  /** Too much is queued for new calls. */
  readonly refusesCalls: boolean
  /** Too much is queued for bodies, too. */
  readonly isFull: boolean
  /** Ends a stream because too much is queued. */
  endOverloaded(stream: Stream): void
  /** Counts a frame that makes no progress in any call. @throws ConnectionError ENHANCE_YOUR_CALM */
  idle(): void
  /** Gives window of the connection back. */
  consumed(bytes: number): void
  /** The peer refuses new calls, and has not processed those above a number. */
  peerGoesAway(lastStreamId: number): void
  /** The limit of open streams may have changed. */
  placeWaiting(): void
}

export interface ReceiverOptions {
  readonly role: 'client' | 'server'
  readonly session: ReceiverSession
  readonly streams: Streams
  readonly sender: Pick<Sender, 'setInitialWindow' | 'widen' | 'widenStream'>
  /** Called for each call of the peer; only in the server role. */
  readonly onStream: OnStream | undefined
}

/** Applies the frames of the peer by the rules of RFC 9113, sections 5 to 8. */
export class Receiver implements InboundEvents {
  readonly #options: ReceiverOptions
  /** Bytes that the peer may send on the connection. */
  #window: number
  /** Consumed bytes that were not given back yet. */
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
      session.endOverloaded(stream)
    } else if (!isAsAnnounced(stream, bytes.length, isEnd)) {
      session.streamError(stream, ERROR_CODE.protocolError)
    } else {
      stream.hasEndedThere = isEnd
      stream.consumed(windowBytes - bytes.length)
      stream.handler.onData(bytes, isEnd)
      session.endIfDone(stream)
    }
  }

  /** After a reset from here the frame was under way; otherwise the client had ended the stream itself. */
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
    session.write(frame(FRAME_TYPE.settings, FRAME_FLAG.ack, 0, NOTHING))
    if (initialWindowSize !== undefined) sender.setInitialWindow(initialWindowSize, streams.open())
    if (maxConcurrentStreams === undefined || role === 'server') return
    streams.limit(maxConcurrentStreams)
    session.placeWaiting()
  }

  onPing(payload: Buffer): void {
    // grpc-go pings with nearly each call, to measure a network. An answer of its own would wake it once more for that.
    this.#options.session.writeLate(frame(FRAME_TYPE.ping, FRAME_FLAG.ack, 0, payload))
  }

  onGoAway(lastStreamId: number): void {
    this.#options.session.peerGoesAway(lastStreamId)
  }

  onWindowUpdate(streamId: number, bytes: number): void {
    const { sender, session } = this.#options
    if (streamId === 0) {
      if (bytes === 0) throw protocolError('a window is widened by nothing')
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

  /** @returns the bytes to give back to the peer now; 0: not yet */
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
    if (streamId % 2 === 0) throw protocolError('a client begins a stream of even number')
    if (streamId <= streams.lastId) {
      // Trailers that were under way when the stream was reset here.
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
    if (session.isDraining || streams.isFull || session.refusesCalls)
      return ERROR_CODE.refusedStream
    return isTooLong || isRequest(list) ? undefined : ERROR_CODE.protocolError
  }

  #moreHeaders(stream: Stream | undefined, { isTooLong, list }: Decoded, isEnd: boolean): void {
    if (stream === undefined) return
    const { session } = this.#options
    const status = stream.hasBegunThere ? '' : (headerValue(list, ':status') ?? '')
    // Interim responses are not relayed (RFC 9113, section 8.1).
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

  /** @returns undefined: the stream has ended. @throws ConnectionError PROTOCOL_ERROR for an idle stream */
  #known(streamId: number): Stream | undefined {
    const { streams } = this.#options
    const stream = streams.get(streamId)
    const hasBeen = streamId % 2 === 1 && streamId <= streams.lastId
    if (stream === undefined && !hasBeen) throw protocolError('a frame of an idle stream')
    return stream
  }
}

function announce(stream: Stream, list: HeaderList): void {
  // Their content-length is that of another answer (RFC 9110, section 8.6).
  if (stream.isHead || headerValue(list, ':status') === '304') return
  const length = headerValue(list, 'content-length')
  if (length !== undefined) stream.announcedBytes = /^\d{1,15}$/.test(length) ? Number(length) : -1
}

/** Counts body bytes; a message of another length than its `content-length` is malformed (RFC 9113, 8.1.1). */
function isAsAnnounced(stream: Stream, bytes: number, isEnd: boolean): boolean {
  if (stream.announcedBytes === undefined) return true
  stream.announcedBytes -= bytes
  return isEnd ? stream.announcedBytes === 0 : stream.announcedBytes >= 0
}
