import { dress, el, svg } from './dom.js'
import { path } from './plot.js'
import { clock, duration, span } from './words.js'

/** So much of the past is in a row. */
const WINDOW_MS = 3_600_000
const WIDTH = 72
const HEIGHT = 20

/**
 * How a registry does: a mark, words, and the line of its answers' latencies.
 *
 * @param {RegistryStatus} registry
 * @param {readonly Moment[]} latencies
 */
export function registryRow(registry, latencies) {
  const { name, latencyMs, lastError, healthy } = registry
  const kind = healthy ? (registry.state === 'closed' ? 'good' : 'warn') : 'bad'
  return el(
    `li.registry.${kind}`,
    el('div.who', el('b', name), el('small', detail(registry))),
    el(
      'div.how',
      el('div.state', stateText(registry)),
      latencyMs === null ? undefined : sparkline(latencies),
      latencyMs === null ? undefined : duration(latencyMs),
    ),
    registry.rateLimit === undefined ? undefined : el('div.said', rateLimit(registry.rateLimit)),
    lastError === undefined
      ? undefined
      : el('div.said', lastTime(registry), el('code', lastError.code), ` ${lastError.message}`),
  )
}

/** @param {RegistryStatus} registry */
function detail({ address, name, offline, priority }) {
  // The name is the address without its scheme, mostly.
  const where = address.startsWith('https:') && address.endsWith(`//${name}`) ? '' : ` · ${address}`
  return `priority ${priority}${offline ? ' · offline registry' : ''}${where}`
}

/** @param {RegistryStatus} registry */
function stateText({ state, retryAt, latencyMs }) {
  const when = retryAt === null ? '' : ` until ${clock(retryAt)}`
  if (state === 'open') return `left alone${when}`
  if (state === 'half-open') return 'failed, on probation'
  if (state === 'parked') return `asked for a pause${when}`
  return latencyMs === null ? 'not asked yet' : 'in use'
}

/** @param {NonNullable<RegistryStatus['rateLimit']>} its */
function rateLimit({ remaining, limit, windowSeconds }) {
  const all = limit === undefined ? '' : ` of ${limit}`
  const per = windowSeconds === undefined ? '' : ` in ${span(windowSeconds)}`
  return `It says that ${remaining}${all} requests${per} are left.`
}

/** @param {RegistryStatus} registry */
function lastTime({ lastFailureAt }) {
  return `Last error${lastFailureAt === null ? '' : ` at ${clock(lastFailureAt)}`}: `
}

/** @param {readonly Moment[]} moments */
function sparkline(moments) {
  const values = moments.map(({ values: [value] }) => value ?? 0)
  const last = moments.at(-1)?.at ?? 0
  const top = Math.max(...values, 0.001)
  const x = (/** @type {number} */ at) => WIDTH - 1 - ((last - at) / WINDOW_MS) * (WIDTH - 2)
  const y = (/** @type {number} */ value) => HEIGHT - 2 - (value / top) * (HEIGHT - 4)
  const drawing = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT })
  drawing.append(svg('path', { class: 'line line-0', d: path(moments, 0, x, y) }))
  return dress(drawing, { 'aria-hidden': 'true' })
}

/**
 * @param {readonly RegistryStatus[]} registries
 * @returns {string} in a sentence, for screen readers
 */
export function registriesText(registries) {
  if (registries.length === 0) return 'None is configured: every image is asked of its origin.'
  const failing = registries.filter(({ healthy }) => !healthy).map(({ name }) => name)
  const used = `${registries.length - failing.length} of ${registries.length} in use`
  return failing.length === 0 ? used : `${used}, not ${failing.join(', ')}`
}

/** @import { RegistryStatus } from '../../../api/v1/registries.ts' */
/** @import { Moment } from './plot.js' */
