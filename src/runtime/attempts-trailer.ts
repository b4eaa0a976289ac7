import type { Attempt } from '../errors.ts'
import { binaryValue, type Metadata, withBinaryValue } from './metadata.ts'

/** A trailer of failed pulls, for our own command line and HTTP API; the kubelet passes over it. */
const NAME = 'image-resolver-attempts-bin'
/** Clients bound headers together, some at 8 KiB, and the message of the error is among them. */
const MAX_BYTES = 3_072
const MAX_MESSAGE_CHARACTERS = 300

/**
 * Trailers with what each registry said, as JSON: at most 3 KiB, messages at most 300 characters; attempts
 * that do not fit are left out, the last ones first.
 *
 * @returns the same trailers where there are no attempts
 */
export function withAttempts(trailers: Metadata, attempts: readonly Attempt[]): Metadata {
  if (attempts.length === 0) return trailers
  const told = attempts.slice(0, 64).map(short)
  let bytes = Buffer.from(JSON.stringify(told))
  while (bytes.length > MAX_BYTES) {
    told.pop()
    bytes = Buffer.from(JSON.stringify(told))
  }
  return withBinaryValue(trailers, NAME, bytes)
}

/** What `withAttempts` wrote; none where something else did. */
export function attemptsOf(trailers: Metadata): readonly Attempt[] {
  const value = binaryValue(trailers, NAME)
  if (value === undefined) return []
  try {
    const told: unknown = JSON.parse(value.toString('utf8'))
    return Array.isArray(told) ? told.filter(isAttempt) : []
  } catch {
    return []
  }
}

function short({ registry, step, outcome, status, ms, message }: Attempt): Attempt {
  return {
    registry,
    step,
    outcome,
    ...(status !== undefined && { status }),
    ms,
    ...(message !== undefined && { message: message.slice(0, MAX_MESSAGE_CHARACTERS) }),
  }
}

function isAttempt(told: unknown): told is Attempt {
  if (typeof told !== 'object' || told === null) return false
  const { registry, step, outcome, ms } = told as Partial<Record<keyof Attempt, unknown>>
  const texts = [registry, step, outcome]
  return texts.every((text) => typeof text === 'string') && typeof ms === 'number'
}
