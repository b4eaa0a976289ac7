import { promisify } from 'node:util'
import { constants, gzip, gzipSync } from 'node:zlib'

/** Below this a body fits in one packet with its headers, and compressing it saves nothing. */
const WORTH_BYTES = 1_024

const options = { level: constants.Z_BEST_SPEED }

export const gzipped: (text: string) => Promise<Buffer> = (text) => compress(text, options)
const compress = promisify<string, typeof options, Buffer>(gzip)

/** For small bodies that are kept. */
export function gzippedNow(text: string): Buffer {
  const found = gzipSync(text, options)
  // It is the beginning of a chunk of 16 KiB, all of which would be kept with it.
  const body = Buffer.allocUnsafeSlow(found.length)
  body.set(found)
  return body
}

export function isWorthGzip(text: string): boolean {
  return text.length >= WORTH_BYTES
}

/** @param acceptEncoding the header (RFC 9110, 12.5.3) */
export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  if (acceptEncoding === undefined || !acceptEncoding.includes('gzip')) return false
  return acceptEncoding
    .split(',')
    .some((each) => /^\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(each))
}
