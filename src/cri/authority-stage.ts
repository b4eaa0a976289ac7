import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { authorityRepair } from './authority-repair.ts'
import { FRAME_HEADER_BYTES, FRAME_TYPE, frame, PREFACE } from './frames.ts'
import { type Opening, readOpening } from './opening.ts'

/** As many bytes as a lawful client can send before it must have seen our SETTINGS, and more. */
const MAX_OPENING_BYTES = 256 * 1024
const OPENING_TIMEOUT_MS = 10_000
const EMPTY_SETTINGS = frame(FRAME_TYPE.settings, 0, 0, Buffer.alloc(0))
const NOTHING = Buffer.alloc(0)

/**
 * Looks at the beginning of a client's connection and hands it on, once, ready for a node:http2
 * server: the socket itself with its bytes put back when its first header block is fine, else a
 * Duplex that repairs each `:authority` on the way (authority.ts says why).
 *
 * grpc-go and grpc-js keep their first call until they have the server's SETTINGS. Such a client
 * gets an empty SETTINGS frame from here, and its acknowledgement is taken out again: the
 * HTTP/2 engine, which sends SETTINGS of its own later, would refuse one that it did not ask for.
 *
 * A connection that does not speak HTTP/2, or does not get past its SETTINGS within
 * `timeoutMs` (default 10 s), is closed. After that an idle one may wait as long as it likes.
 */
export function openConnection(
  socket: Socket,
  deliver: (connection: Duplex) => void,
  timeoutMs: number = OPENING_TIMEOUT_MS,
): void {
  let bytes: Buffer = NOTHING
  let sentSettings = false
  const timer = setTimeout(() => socket.destroy(), timeoutMs)

  function look(): void {
    bytes = Buffer.concat([bytes, ...unread(socket)])
    const opening = readOpening(bytes)
    const lacksAcknowledgement = sentSettings && opening.acknowledgedAt === undefined
    if (opening.verdict === 'foreign' || bytes.length > MAX_OPENING_BYTES) {
      socket.destroy()
    } else if (opening.verdict !== 'waiting' && !lacksAcknowledgement) {
      release()
      handOver(opening)
    } else if (opening.greeted && !sentSettings) {
      sentSettings = true
      socket.write(EMPTY_SETTINGS)
    } else if (sentSettings && !lacksAcknowledgement) {
      clearTimeout(timer)
    }
  }

  function handOver({ verdict, acknowledgedAt }: Opening): void {
    const heard =
      sentSettings && acknowledgedAt !== undefined ? withoutFrame(bytes, acknowledgedAt) : bytes
    if (verdict === 'plain') {
      socket.unshift(heard)
      deliver(socket)
    } else {
      deliver(repairedConnection(socket, heard))
    }
  }

  function release(): void {
    clearTimeout(timer)
    socket.off('readable', look).off('close', release).off('error', ignore)
  }

  socket.on('readable', look).on('close', release).on('error', ignore)
}

/** A client that breaks off has nobody to tell about it; 'close' follows and cleans up. */
function ignore(): void {}

function unread(socket: Socket): Buffer[] {
  const chunks: Buffer[] = []
  for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
    chunks.push(chunk)
  }
  return chunks
}

function withoutFrame(bytes: Buffer, offset: number): Buffer {
  return Buffer.concat([bytes.subarray(0, offset), bytes.subarray(offset + FRAME_HEADER_BYTES)])
}

/** The socket, with what the client says repaired. `heard` was read from it already. */
function repairedConnection(socket: Socket, heard: Buffer): Duplex {
  const repair = authorityRepair(PREFACE.length)
  const connection = new Duplex({
    read: () => {
      socket.resume()
    },
    write: (chunk: Buffer, _encoding, done) => {
      socket.write(chunk, done)
    },
    writev: (chunks, done) => {
      socket.cork()
      for (const { chunk } of chunks.slice(0, -1)) socket.write(chunk)
      socket.write(chunks.at(-1)?.chunk ?? NOTHING, done)
      socket.uncork()
    },
    final: (done) => {
      socket.end(done)
    },
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  const hear = (chunk: Buffer): void => {
    const repaired = repair(chunk)
    if (repaired.length > 0 && !connection.push(repaired)) socket.pause()
  }
  socket.on('data', hear)
  socket.on('end', () => connection.push(null))
  socket.on('error', (error) => connection.destroy(error))
  socket.on('close', () => connection.destroy())
  hear(heard)
  return connection
}
