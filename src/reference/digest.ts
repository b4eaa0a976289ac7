import { createHash } from 'node:crypto'
import { ResolveError } from '../errors.ts'
import { quote } from './quote.ts'

/** The algorithms of go-digest, which image-spec registers ("Descriptors", "Digests"). */
export type DigestAlgorithm = 'sha256' | 'sha384' | 'sha512'

export interface Digest {
  readonly algorithm: DigestAlgorithm
  /** Lower case; 64, 96 or 128 digits. */
  readonly hex: string
}

const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/

const HEX_LENGTHS: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
])

/** True for `algorithm:hex` with a known algorithm and exactly its number of lower-case digits. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text)
}

/** Splits `algorithm:hex`. Throws DIGEST_INVALID, saying what is wrong with it. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) throw new ResolveError('DIGEST_INVALID', describeDigestMistake(text))
  const colon = text.indexOf(':')
  return { algorithm: text.slice(0, colon) as DigestAlgorithm, hex: text.slice(colon + 1) }
}

/** The digest of these bytes, `algorithm:hex`. */
export function hashOf(algorithm: DigestAlgorithm, bytes: Uint8Array): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`
}

/** Whether these bytes are the ones that the digest names; false for a malformed digest too. */
export function verifyDigest(digest: string, bytes: Uint8Array): boolean {
  if (!isDigest(digest)) return false
  return hashOf(parseDigest(digest).algorithm, bytes) === digest
}

/** One line on why `isDigest` refuses this text. */
export function describeDigestMistake(text: string): string {
  const colon = text.indexOf(':')
  if (colon < 0) return `${quote(text)} is not a digest: write algorithm:hex, as in sha256:…`
  const algorithm = text.slice(0, colon)
  const hexLength = HEX_LENGTHS.get(algorithm)
  if (hexLength === undefined) {
    return `digest algorithm ${quote(algorithm)} is not supported: use sha256, sha384 or sha512`
  }
  const found = text.length - colon - 1
  return found === hexLength
    ? `digest ${quote(text)} may hold only the digits 0-9 and a-f after the colon`
    : `a ${algorithm} digest has ${hexLength} hexadecimal digits, ${quote(text)} has ${found}`
}
