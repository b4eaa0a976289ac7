import type { Logger } from '../../telemetry/log.ts'
import { MalformedMessageError } from '../wire.ts'

/** One byte that says whether it is compressed, four that give the length. */
const PREFIX_BYTES = 5
/** What a kubelet takes: what is longer is passed on, to be refused there. */
const MAX_FRAME_BYTES = PREFIX_BYTES + 16 * 1024 * 1024
const NOTHING = Buffer.alloc(0)

/** One direction of a call, on its way through. */
export interface BodyEdit {
  /** Bytes to hand on for bytes that came; none while a message is not complete. */
  chunk(bytes: Buffer): Buffer
  /** What was held back when the stream ended, if anything. */
  rest(): Buffer | undefined
  /** Bytes of a message that is not complete. */
  heldBytes(): number
}

/** What is changed in a call on its way through. */
export interface CallEdits {
  readonly request?: BodyEdit
  readonly response?: BodyEdit
  /** With its gRPC code. */
  readonly ended?: (code: number) => void
}

/** The same object: nothing to change. */
export type MessageEdit = (message: Uint8Array) => Uint8Array

/**
 * Changes the messages of one direction of a gRPC call, one by one. Holds one message at most, so
 * that the stream's own flow control holds. A message that is compressed, too long or no protobuf
 * goes on as it came.
 */
export function bodyEdit(edit: MessageEdit, log: Pick<Logger, 'warn' | 'error'>): BodyEdit {
  let parts: Buffer[] = []
  let heldBytes = 0
  let neededBytes = PREFIX_BYTES
  let passingBytes = 0

  function take(bytes: Buffer, out: Buffer[]): void {
    parts.push(bytes)
    heldBytes += bytes.length
    if (heldBytes < neededBytes) return
    let held = parts.length === 1 ? bytes : Buffer.concat(parts)
    neededBytes = PREFIX_BYTES
    while (held.length >= PREFIX_BYTES) {
      const endBytes = PREFIX_BYTES + held.readUInt32BE(1)
      const isTooLong = endBytes > MAX_FRAME_BYTES
      if (endBytes > held.length && !isTooLong) {
        neededBytes = endBytes
        break
      }
      const frame = held.subarray(0, endBytes)
      passingBytes = endBytes - frame.length
      out.push(isTooLong ? frame : editFrame(frame, edit, log))
      held = held.subarray(frame.length)
    }
    parts = held.length === 0 ? [] : [held]
    heldBytes = held.length
  }

  return {
    chunk: (bytes) => {
      const out: Buffer[] = []
      const passing = bytes.subarray(0, passingBytes)
      passingBytes -= passing.length
      if (passing.length > 0) out.push(passing)
      if (passing.length < bytes.length) take(bytes.subarray(passing.length), out)
      return out.length === 1 ? (out[0] ?? NOTHING) : Buffer.concat(out)
    },
    rest: () => (heldBytes === 0 ? undefined : Buffer.concat(parts)),
    heldBytes: () => heldBytes,
  }
}

function editFrame(frame: Buffer, edit: MessageEdit, log: Pick<Logger, 'warn' | 'error'>): Buffer {
  if (frame[0] !== 0) return frame
  const before = frame.subarray(PREFIX_BYTES)
  try {
    const after = edit(before)
    if (after === before) return frame
    const prefix = Buffer.alloc(PREFIX_BYTES)
    prefix.writeUInt32BE(after.length, 1)
    return Buffer.concat([prefix, after])
  } catch (error) {
    // Thrown in the middle of somebody's call, it would end the process.
    if (!(error instanceof MalformedMessageError)) log.error({ err: error }, 'unexpected error')
    else log.warn({ err: error }, 'a message that is no protobuf goes on as it is')
    return frame
  }
}
