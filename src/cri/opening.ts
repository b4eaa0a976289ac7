import { repairAuthority } from './authority.ts'
import {
  FRAME_FLAG,
  FRAME_HEADER_BYTES,
  FRAME_TYPE,
  type FrameHeader,
  PREFACE,
  readFrameHeader,
} from './frames.ts'
import { readHeaderBlock } from './header-block.ts'

/**
 * What the first bytes of a connection tell.
 *
 * `foreign`: not HTTP/2. `waiting`: too early to say. `plain`: the first header block is fine, or so
 * broken that only the HTTP/2 engine should answer it. `watch`: its `:authority` must be repaired, or
 * the client wants an answer to a PING before it makes its first call.
 */
export interface Opening {
  readonly verdict: 'foreign' | 'waiting' | 'plain' | 'watch'
  /** The preface is complete, so the client may be waiting for the server's SETTINGS. */
  readonly greeted: boolean
  /** Where the first acknowledgement of SETTINGS stands, if it came. */
  readonly acknowledgedAt: number | undefined
}

/** Reads a connection's bytes from its very first one. */
export function readOpening(bytes: Buffer): Opening {
  const known = Math.min(bytes.length, PREFACE.length)
  const greeted = known === PREFACE.length
  if (bytes.compare(PREFACE, 0, known, 0, known) !== 0) {
    return { verdict: 'foreign', greeted, acknowledgedAt: undefined }
  }
  let verdict: Opening['verdict'] = 'waiting'
  let acknowledgedAt: number | undefined
  let offset = PREFACE.length
  for (;;) {
    const header = readFrameHeader(bytes, offset)
    if (header === undefined) break
    if (isAcknowledgement(header)) acknowledgedAt ??= offset
    if (verdict === 'waiting') verdict = verdictOn(header, bytes, offset)
    offset += FRAME_HEADER_BYTES + header.payloadBytes
  }
  return { verdict, greeted, acknowledgedAt }
}

function isAcknowledgement({ type, flags, payloadBytes }: FrameHeader): boolean {
  return type === FRAME_TYPE.settings && (flags & FRAME_FLAG.ack) !== 0 && payloadBytes === 0
}

function verdictOn(header: FrameHeader, bytes: Buffer, offset: number): Opening['verdict'] {
  if (header.type === FRAME_TYPE.ping) return 'watch'
  if (header.type !== FRAME_TYPE.headers) return 'waiting'
  const reading = readHeaderBlock(bytes, offset)
  if (reading.state === 'incomplete') return 'waiting'
  if (reading.state === 'broken') return 'plain'
  return repairAuthority(reading.block.fields) === undefined ? 'plain' : 'watch'
}
