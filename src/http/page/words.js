/** More than any reference that can be pulled has; a longer text is cut in its middle. */
const MOST_CHARACTERS = 400

/** @param {string} text any, also with a digest in its middle */
export function shorten(text) {
  const half = MOST_CHARACTERS / 2
  const kept = text.length <= MOST_CHARACTERS ? text : `${text.slice(0, half)}…${text.slice(-half)}`
  return kept.replace(/\b([0-9a-f]{12})[0-9a-f]{36,}([0-9a-f]{8})\b/g, '$1…$2')
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 0.1) return `${Math.max(1, Math.round(ms * 1000))} µs`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  return span(ms / 1000)
}

/** @param {number} seconds */
export function span(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 120) return `${Math.round(seconds)} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} days`
}

/** @param {number} bytes */
export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let power = 0
  let value = bytes
  while (value >= 1000 && power < units.length - 1) {
    value /= 1024
    power += 1
  }
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${units[power]}`
}

/**
 * @param {number} count
 * @param {string} noun
 * @param {string} [plural]
 */
export function several(count, noun, plural = `${noun}s`) {
  return `${count.toLocaleString('en')} ${count === 1 ? noun : plural}`
}

/** @param {number | null} share 0 to 1 */
export function percent(share) {
  if (share === null) return '–'
  return `${share > 0.99 ? Math.floor(share * 1000) / 10 : Math.round(share * 100)} %`
}

/** @param {string | number} time RFC 3339 or milliseconds */
export function clock(time) {
  const date = new Date(time)
  const today = date.toDateString() === new Date().toDateString()
  const day = today ? '' : `${date.toLocaleDateString('sv')} `
  return day + date.toLocaleTimeString('sv')
}

/** What became of a question to a registry. */
export const outcomes = {
  ok: 'answered',
  not_found: 'not there',
  unauthorized: 'wants credentials',
  denied: 'refuses',
  rate_limited: 'asks to wait',
  unsupported: 'is no image',
  invalid: 'answers nonsense',
  unreachable: 'unreachable',
  server_error: 'server error',
  timeout: 'too slow',
  canceled: 'called off',
  skipped: 'not asked',
}

/** How far the conversation with a registry came. */
export const steps = {
  connect: 'connecting',
  token: 'asking for a token',
  manifest: 'asking for the manifest',
  platform: 'looking for the platform',
  pull: 'pulling',
}
