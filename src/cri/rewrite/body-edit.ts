import type { Logger } from '../../telemetry/log.ts'
import { PREFIX_BYTES } from '../grpc.ts'
import { MalformedMessageError } from '../wire.ts'

/** The kubelet's limit. A longer message is relayed unchanged, and refused there. */
const MAX_FRAME_BYTES = PREFIX_BYTES + 16 * 1024 * 1024
const NOTHING = Buffer.alloc(0)

/** Edits the body of one direction of a call. */
export interface BodyEdit {
  /** @returns the bytes to send for received bytes; none while a message is incomplete */
  chunk(bytes: Buffer): Buffer
  /** Bytes of an incomplete message at the end of the stream. */
  rest(): Buffer | undefined
  /** The size of the incomplete message, as far as it has come. */
  heldBytes(): number
  /** The size that it will have, as far as that is known. */
  neededBytes(): number
}

/** The edits of one call. */
export interface CallEdits {
  readonly request?: BodyEdit
  readonly response?: BodyEdit
  /** Called at the end of the call with its gRPC code. */
  readonly ended?: (code: number) => void
}

/** @returns the same object: nothing to change */
export type MessageEdit = (message: Uint8Array) => Uint8Array

/**
 * Edits the messages of one direction of a gRPC call. Holds at most one message, so that flow control
 * works. A message that is compressed, too long or no protobuf stays unchanged.
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
    neededBytes: () => neededBytes,
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
    // An exception in a socket's event handler would end the process.
    if (!(error instanceof MalformedMessageError)) log.error({ err: error }, 'unexpected error')
    else log.warn({ err: error }, 'a message that is no protobuf goes on as it is')
    return frame
  }
}
