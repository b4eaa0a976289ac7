import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { formatDuration, parseDuration } from './duration.ts'
import type { Findings } from './findings.ts'

const HOUR_MS = 3_600_000

/** 0 is always inside. */
interface DurationRange {
  readonly leastMs: number
  readonly mostMs: number
}

/** setTimeout runs at once what is more than 24.8 days (2^31 ms) away. */
export const TIMER: DurationRange = { leastMs: 1, mostMs: 576 * HOUR_MS }
export const KEEPING: DurationRange = { leastMs: 1, mostMs: 8760 * HOUR_MS }
export const POLLING: DurationRange = { leastMs: 100, mostMs: TIMER.mostMs }
/** More than one whole resolution may take would never be over. */
export const PROBING: DurationRange = { leastMs: 10, mostMs: 20_000 }
/** A helper that needs minutes keeps every pull of its registry waiting for them. */
export const HELPER: DurationRange = { leastMs: 100, mostMs: HOUR_MS / 6 }

/** Whole milliseconds; a duration that cannot be is noted in `findings`, and 0 here. */
export function readDuration(
  path: string,
  text: string,
  range: DurationRange,
  findings: Findings,
): number {
  return findings.parse(path, text, (value) => durationWithin(value, range)) ?? 0
}

function durationWithin(text: string, { leastMs, mostMs }: DurationRange): number {
  const ms = parseDuration(text)
  if (ms === 0 || (ms >= leastMs && ms <= mostMs)) return Math.round(ms)
  throw new ResolveError(
    'CONFIG_INVALID',
    `${quote(text)} is outside ${formatDuration(leastMs)} to ${formatDuration(mostMs)} (0 is allowed)`,
  )
}
