const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** In IEC units with at most four digits: `67.3 MiB`. */
export function formatSize(bytes: number): string {
  let [value, power] = [bytes, 0]
  // 1000 MiB is 1.0 GiB: four digits before the unit are hard to compare.
  while (value >= 999.5 && power < UNITS.length - 1) {
    value /= 1024
    power += 1
  }
  return `${value.toFixed(power === 0 || value >= 99.95 ? 0 : 1)} ${UNITS[power]}`
}

/** null: `-`. */
export function formatMs(ms: number | null): string {
  if (ms === null) return '-'
  if (ms < 0.0995) return `${Math.max(1, Math.round(ms * 1_000))} µs`
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  return `${(ms / 1_000).toFixed(1)} s`
}

/** The two largest units: `3 d 4 h`, `5 min 2 s`. */
export function formatSpan(seconds: number): string {
  const whole = Math.round(seconds)
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3_600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first < 0) return '0 s'
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ')
}

/** @param share 0 to 1; null: `-` */
export function formatShare(share: number | null): string {
  return share === null ? '-' : `${(share * 100).toFixed(1)} %`
}

/** RFC 3339 in, without its milliseconds out: `2026-01-31 12:00:00Z`. null: `-`. */
export function formatTime(time: string | null): string {
  return time === null ? '-' : time.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
}
