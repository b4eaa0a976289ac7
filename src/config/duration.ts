import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'

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

function refusal(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}
