import fc from 'fast-check'
import { withImage } from '../../src/cri/image-messages.ts'
import { FRAME_FLAG, FRAME_TYPE, frame, PREFACE } from '../../src/http2/frames.ts'
import { framed } from './grpc-frames.ts'
import { indexed, literal, plain } from './hpack-fields.ts'

const END = FRAME_FLAG.endHeaders | FRAME_FLAG.endStream
const NOTHING = Buffer.alloc(0)

export const FRAME = {
  ...FRAME_TYPE,
  priority: 2,
  reset: 3,
  push: 5,
  goaway: 7,
  windowUpdate: 8,
} as const
export const SETTINGS = frame(FRAME.settings, 0, 0, NOTHING)
export const OPENING = Buffer.concat([PREFACE, SETTINGS])

/** The header block of a gRPC call; `more` goes behind it. */
export function callBlock(path: string, ...more: readonly Buffer[]): Buffer {
  return Buffer.concat([
    indexed(3),
    indexed(6),
    literal('without', 4, plain(path)),
    literal('without', 1, plain('localhost')),
    literal('without', 31, plain('application/grpc')),
    literal('without', plain('te'), plain('trailers')),
    ...more,
  ])
}

/** A whole call: HEADERS and DATA. `body` is what comes behind the headers, framing and all. */
export function call(streamId: number, path: string, body: Buffer): Buffer {
  return Buffer.concat([
    frame(FRAME.headers, FRAME_FLAG.endHeaders, streamId, callBlock(path)),
    frame(FRAME.data, FRAME_FLAG.endStream, streamId, body),
  ])
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export const PATHS = [
  '/runtime.v1.ImageService/ImageStatus',
  '/runtime.v1.ImageService/RemoveImage',
  '/runtime.v1.ImageService/PullImage',
  '/runtime.v1alpha2.ImageService/RemoveImage',
  '/runtime.v1.RuntimeService/Version',
  '/imageresolver.v1.ImageResolver/ResolveImage',
  '/runtime.v1.ImageService/RemoveImage/',
  '//runtime.v1.ImageService/RemoveImage',
  '/made.Up/Method',
] as const

const streamIds = fc.constantFrom(0, 1, 1, 2, 3, 5, 7, 2 ** 31 - 1)
const path = fc.constantFrom(...PATHS)
const image = fc.constantFrom('nginx', '', ' ', 'sha256:', 'a'.repeat(2_000), '\u0000')
const someBytes = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes))

/** gRPC's own framing, wrong: the flag of compression, and lengths that are not those. */
const grpcBody = fc
  .record({
    message: image.map((name) => Buffer.from(withImage(new Uint8Array(), name))),
    flag: fc.constantFrom(0, 0, 0, 1, 2, 255),
    length: fc.constantFrom(undefined, undefined, 0, 1, 100_000, 2 ** 32 - 1),
    times: fc.constantFrom(1, 1, 1, 0, 2),
    cut: fc.nat(4),
  })
  .map(({ message, flag, length, times, cut }) => {
    const one = framed(message)
    one.writeUInt8(flag, 0)
    if (length !== undefined) one.writeUInt32BE(length, 1)
    const all = Buffer.concat(Array.from({ length: times }, () => one))
    return all.subarray(0, all.length - Math.min(cut, all.length))
  })

const wellFormed = fc.tuple(streamIds, path, grpcBody).map((parts) => call(...parts))
const anyFrame = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 255),
    fc.nat(255),
    streamIds,
    someBytes,
  )
  .map((parts) => frame(...parts))
const lyingFrame = fc.tuple(anyFrame, fc.nat(2 ** 24 - 1)).map(([bytes, length]) => {
  bytes.writeUIntBE(length, 0, 3)
  return bytes
})
const anyBlock = fc
  .tuple(streamIds, path, someBytes)
  .map(([id, named, more]) => frame(FRAME.headers, END, id, callBlock(named, more)))
const settings = fc
  .array(fc.tuple(fc.nat(8), fc.constantFrom(0, 1, 2 ** 14, 2 ** 24, 2 ** 31 - 1, 2 ** 32 - 1)))
  .map((all) => {
    const values = all.map(([id, value]) => Buffer.concat([Buffer.of(0, id), number32(value)]))
    return frame(FRAME.settings, 0, 0, Buffer.concat(values))
  })
const window = fc
  .tuple(streamIds, fc.constantFrom(0, 1, 2 ** 31 - 1))
  .map(([id, by]) => frame(FRAME.windowUpdate, 0, id, number32(by)))
const goaway = fc
  .tuple(streamIds, someBytes)
  .map(([id, more]) => frame(FRAME.goaway, 0, 0, Buffer.concat([number32(id), number32(0), more])))

const opening = fc.oneof(
  { weight: 8, arbitrary: fc.constant(OPENING) },
  { weight: 1, arbitrary: fc.nat(24).map((length) => PREFACE.subarray(0, length)) },
  { weight: 1, arbitrary: someBytes },
)
const pieces = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: wellFormed },
    { weight: 2, arbitrary: anyFrame },
    lyingFrame,
    anyBlock,
    settings,
    window,
    goaway,
    someBytes,
  ),
  { maxLength: 12 },
)
const flips = fc.array(fc.tuple(fc.nat(4_000), fc.integer({ min: 1, max: 255 })), { maxLength: 3 })

/** What a client says from its first byte to its last, in the chunks in which it says it. */
export const conversations = fc
  .record({
    opening,
    pieces,
    flips,
    cut: fc.nat(40),
    chunkBytes: fc.constantFrom(1, 7, 100, 65_536),
  })
  .map(({ opening: first, pieces: rest, flips: changes, cut, chunkBytes }) => {
    const whole = Buffer.concat([first, ...rest])
    for (const [at, by] of changes) {
      if (at < whole.length) whole.writeUInt8(whole.readUInt8(at) ^ by, at)
    }
    const bytes = cut < 30 ? whole : whole.subarray(0, Math.max(0, whole.length - cut))
    return chunked(bytes, Math.max(chunkBytes, Math.ceil(bytes.length / 400)))
  })

export function chunked(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size)
  return Array.from({ length: count }, (_, n) => bytes.subarray(n * size, (n + 1) * size))
}
