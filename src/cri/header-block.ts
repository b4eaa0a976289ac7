import {
  FRAME_FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  frame,
  MAX_PAYLOAD_BYTES,
  readFrameHeader,
} from './frames.ts'

/** One header block: a HEADERS frame and the CONTINUATION frames that belong to it. */
export interface HeaderBlock {
  readonly streamId: number
  readonly endStream: boolean
  /** The five bytes of the priority fields, or none. */
  readonly priority: Buffer
  /** The compressed fields, whole, without padding. */
  readonly fields: Buffer
}

/**
 * `incomplete`: more bytes are needed. `broken`: the HTTP/2 engine will refuse what stands there, so
 * there is nothing to read for us.
 */
export type BlockReading =
  | { readonly state: 'whole'; readonly block: HeaderBlock; readonly end: number }
  | { readonly state: 'incomplete' }
  | { readonly state: 'broken' }

const PRIORITY_BYTES = 5

/** Reads the block whose HEADERS frame begins at `offset`; `end` is where the next frame begins. */
export function readHeaderBlock(bytes: Buffer, offset: number): BlockReading {
  const first = frameAt(bytes, offset, FRAME_TYPE.headers)
  if (typeof first === 'string') return { state: first }
  const opened = withoutPaddingAndPriority(first)
  if (opened === undefined) return { state: 'broken' }

  const fragments = [opened.fragment]
  let { end, flags } = first
  while ((flags & FRAME_FLAG.endHeaders) === 0) {
    const next = frameAt(bytes, end, FRAME_TYPE.continuation)
    if (typeof next === 'string') return { state: next }
    if (next.streamId !== first.streamId) return { state: 'broken' }
    fragments.push(next.payload)
    end = next.end
    flags = next.flags
  }
  const block: HeaderBlock = {
    streamId: first.streamId,
    endStream: (first.flags & FRAME_FLAG.endStream) !== 0,
    priority: opened.priority,
    fields: Buffer.concat(fragments),
  }
  return { state: 'whole', block, end }
}

/** The frames that carry the block, none longer than MAX_PAYLOAD_BYTES, without padding. */
export function writeHeaderBlock(block: HeaderBlock): Buffer {
  const payload = Buffer.concat([block.priority, block.fields])
  const frames: Buffer[] = []
  let flags = block.endStream ? FRAME_FLAG.endStream : 0
  if (block.priority.length > 0) flags |= FRAME_FLAG.priority
  let type: number = FRAME_TYPE.headers
  let offset = 0
  do {
    const end = Math.min(offset + MAX_PAYLOAD_BYTES, payload.length)
    if (end === payload.length) flags |= FRAME_FLAG.endHeaders
    frames.push(frame(type, flags, block.streamId, payload.subarray(offset, end)))
    type = FRAME_TYPE.continuation
    flags = 0
    offset = end
  } while (offset < payload.length)
  return Buffer.concat(frames)
}

interface WholeFrame {
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
  readonly end: number
}

function frameAt(
  bytes: Buffer,
  offset: number,
  type: number,
): WholeFrame | 'incomplete' | 'broken' {
  const header = readFrameHeader(bytes, offset)
  if (header === undefined) return 'incomplete'
  if (header.type !== type || header.payloadBytes > MAX_PAYLOAD_BYTES) return 'broken'
  const start = offset + FRAME_HEADER_BYTES
  const end = start + header.payloadBytes
  if (end > bytes.length) return 'incomplete'
  const { flags, streamId } = header
  return { flags, streamId, payload: bytes.subarray(start, end), end }
}

function withoutPaddingAndPriority(
  headers: WholeFrame,
): { readonly priority: Buffer; readonly fragment: Buffer } | undefined {
  const padded = (headers.flags & FRAME_FLAG.padded) !== 0
  const prioritised = (headers.flags & FRAME_FLAG.priority) !== 0
  const priorityAt = padded ? 1 : 0
  const fragmentAt = priorityAt + (prioritised ? PRIORITY_BYTES : 0)
  const padding = padded ? (headers.payload[0] ?? 0) : 0
  const fragmentEnd = headers.payload.length - padding
  if (fragmentEnd < fragmentAt) return undefined
  return {
    priority: headers.payload.subarray(priorityAt, fragmentAt),
    fragment: headers.payload.subarray(fragmentAt, fragmentEnd),
  }
}
