import { repairAuthority } from './authority.ts'
import { FRAME_HEADER_BYTES, FRAME_TYPE, readFrameHeader } from './frames.ts'
import { readHeaderBlock, writeHeaderBlock } from './header-block.ts'

/**
 * Header blocks above this go through unread. The HTTP/2 engine behind us takes eight CONTINUATION
 * frames at most, so a longer one has no future anyway.
 */
const MAX_BLOCK_BYTES = 160 * 1024
const NOTHING = Buffer.alloc(0)

/**
 * Follows one client's frames and repairs every `:authority` in them. The answered function takes
 * the bytes as they come and returns those to hand on, which may be none while a header block is
 * not complete. The first `untouchedBytes` (the preface) go through as they are.
 */
export function authorityRepair(untouchedBytes: number): (chunk: Buffer) => Buffer {
  let passingBytes = untouchedBytes
  let held: Buffer = NOTHING
  let givenUp = false

  return (chunk) => {
    if (givenUp) return chunk
    if (passingBytes >= chunk.length) {
      passingBytes -= chunk.length
      return chunk
    }
    const bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const walked = walk(bytes, passingBytes)
    const rest = bytes.subarray(walked.offset)
    givenUp = walked.broken || rest.length > MAX_BLOCK_BYTES
    held = givenUp ? NOTHING : rest
    passingBytes = Math.max(walked.offset - bytes.length, 0)
    if (givenUp) walked.pieces.push(rest)
    return walked.pieces.length === 1 ? (walked.pieces[0] ?? NOTHING) : Buffer.concat(walked.pieces)
  }
}

interface Walk {
  readonly pieces: Buffer[]
  /** Where the first frame begins that was not dealt with; may lie behind the end of the bytes. */
  readonly offset: number
  readonly broken: boolean
}

function walk(bytes: Buffer, start: number): Walk {
  const pieces: Buffer[] = []
  let offset = start
  let copied = 0
  let broken = false
  for (;;) {
    const header = readFrameHeader(bytes, offset)
    if (header === undefined) break
    if (header.type !== FRAME_TYPE.headers) {
      offset += FRAME_HEADER_BYTES + header.payloadBytes
      continue
    }
    const reading = readHeaderBlock(bytes, offset)
    broken = reading.state === 'broken'
    if (reading.state !== 'whole') break
    const fields = repairAuthority(reading.block.fields)
    if (fields !== undefined) {
      const repaired = writeHeaderBlock({ ...reading.block, fields })
      pieces.push(bytes.subarray(copied, offset), repaired)
      copied = reading.end
    }
    offset = reading.end
  }
  pieces.push(bytes.subarray(copied, offset))
  return { pieces, offset, broken }
}
