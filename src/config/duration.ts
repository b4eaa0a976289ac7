import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { type Diagnostics, refusal } from './diagnostics.ts'

const NANOSECONDS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

/** Go keeps a duration in a signed 64-bit count of nanoseconds, about 292 years. */
const MAX_NANOSECONDS = 2n ** 63n - 1n

const MAX_LENGTH = 64

/** The micro sign exists twice in Unicode (U+00B5 and U+03BC); Go takes both. */
const TERM = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y

/**
 * Reads a duration as Go's time.ParseDuration does: `15m`, `1h30m`, `1.5h`, `500ms`, or a bare `0`.
 *
 * @returns milliseconds, with a fraction below one (`500us` is 0.5); never negative
 * @throws ResolveError CONFIG_INVALID for a number without unit, a negative or any other text
 */
export function parseDuration(text: string): number {
  if (text.length > MAX_LENGTH) throw refusal('a duration this long is none')
  const unsigned = text.replace(/^[-+]/, '')
  if (unsigned === '0') return 0
  if (/^\d+(\.\d+)?$/.test(unsigned)) {
    throw refusal(`${quote(text)} has no unit; write ${unsigned}s, ${unsigned}m or ${unsigned}h`)
  }
  const nanoseconds = sumOfTerms(unsigned)
  if (nanoseconds === undefined) {
    throw refusal(
      `${quote(text)} is not a duration; write 500ms, 30s, 15m or 1h30m (units: h, m, s, ms, us, ns)`,
    )
  }
  if (nanoseconds > MAX_NANOSECONDS) throw refusal(`${quote(text)} is too long`)
  if (text.startsWith('-') && nanoseconds > 0n) {
    throw refusal(`${quote(text)} is negative; write 0 or more`)
  }
  return Number(nanoseconds) / 1e6
}

function sumOfTerms(text: string): bigint | undefined {
  let sum = 0n
  let end = 0
  TERM.lastIndex = 0
  for (let term = TERM.exec(text); term !== null; term = TERM.exec(text)) {
    const [, whole = '', fraction = '', unit = ''] = term
    const scale = NANOSECONDS[unit]
    if (scale === undefined || whole + fraction === '') return undefined
    sum += BigInt(whole || '0') * scale
    sum += (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length)
    end = TERM.lastIndex
  }
  return end > 0 && end === text.length ? sum : undefined
}

/** The shortest text that reads back as these whole milliseconds: `1h30m`, `500ms`, `0s`. */
export function formatDuration(ms: number): string {
  const parts = [
    [Math.floor(ms / 3_600_000), 'h'],
    [Math.floor(ms / 60_000) % 60, 'm'],
    [Math.floor(ms / 1000) % 60, 's'],
    [ms % 1000, 'ms'],
  ] as const
  const text = parts.map(([count, unit]) => (count === 0 ? '' : `${count}${unit}`)).join('')
  return text === '' ? '0s' : text
}

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
/** The API server waits ten seconds for a webhook, and thirty at most. */
export const ADMITTING: DurationRange = { leastMs: 10, mostMs: 25_000 }
/** Registries count requests, and a tag that is gone today was there yesterday. */
export const CHECKING: DurationRange = { leastMs: 60_000, mostMs: TIMER.mostMs }
/** More than one whole resolution may take would never be over. */
export const PROBING: DurationRange = { leastMs: 10, mostMs: 20_000 }
/** How long a lookup may wait for the shared store: beyond a second it would cost more than a registry. */
export const STORE_BUDGET: DurationRange = { leastMs: 1, mostMs: 1_000 }
/** A helper that needs minutes keeps every pull of its registry waiting for them. */
export const HELPER: DurationRange = { leastMs: 100, mostMs: HOUR_MS / 6 }

/** Whole milliseconds; a duration that cannot be is noted in `diagnostics`, and 0 here. */
export function readDuration(
  path: string,
  text: string,
  range: DurationRange,
  diagnostics: Diagnostics,
): number {
  return diagnostics.parse(path, text, (value) => durationWithin(value, range)) ?? 0
}

function durationWithin(text: string, { leastMs, mostMs }: DurationRange): number {
  const ms = parseDuration(text)
  if (ms === 0 || (ms >= leastMs && ms <= mostMs)) return Math.round(ms)
  throw new ResolveError(
    'CONFIG_INVALID',
    `${quote(text)} is outside ${formatDuration(leastMs)} to ${formatDuration(mostMs)} (0 is allowed)`,
  )
}
