import { identifier, spelled } from './copy.js'
import { dress, el } from './dom.js'
import { duration, outcomes, several, shorten } from './words.js'

/**
 * Every place where the image may be, in the order of asking, with when it was asked and for how long.
 *
 * @param {readonly Candidate[]} candidates
 */
export function timeline(candidates) {
  const ends = candidates.map(({ startedMs = 0, ms = 0 }) => startedMs + ms)
  const step = stepOf(Math.max(...ends, 0.01))
  const lengthMs = Math.max(1, Math.ceil(Math.max(...ends) / step)) * step
  return el('div.timeline', scale(lengthMs, step), el('ol', ...candidates.map(row)))

  /** @param {Candidate} candidate */
  function row(candidate) {
    const { registry, reference, priority, origin, why, error, exchanges } = candidate
    const { startedMs, ms = 0 } = candidate
    const state = stateOf(candidate)
    return el(
      `li.candidate.${state}`,
      el(
        'div.who',
        el('b', registry),
        el('small', `${origin ? 'the origin, ' : ''}priority ${priority}`),
      ),
      track(candidate, lengthMs),
      el(
        'div.outcome',
        state === 'chosen' ? 'chosen' : outcomes[candidate.outcome],
        startedMs === undefined ? undefined : el('span', duration(ms)),
      ),
      el(
        'div.reason',
        el('span', why),
        divergence(candidate),
        error === undefined || error.code === 'MANIFEST_UNKNOWN' || why.includes(error.message)
          ? undefined
          : el('span.said', el('code', error.code), ` ${error.message}`),
        requests(reference, exchanges),
      ),
    )
  }
}

/** 1, 2 or 5 of some power of ten, three to six times in the whole. */
function stepOf(/** @type {number} */ wholeMs) {
  const power = 10 ** Math.floor(Math.log10(wholeMs / 3))
  return power * ([1, 2, 5].find((each) => wholeMs / (each * power) <= 5) ?? 10)
}

/**
 * @param {number} lengthMs
 * @param {number} step
 */
function scale(lengthMs, step) {
  const ticks = Array.from({ length: Math.round(lengthMs / step) + 1 }, (_, i) => i * step)
  const axis = el('div.axis')
  for (const tick of ticks) {
    const mark = el('span', tick === 0 ? '0' : duration(tick))
    mark.style.left = `${(100 * tick) / lengthMs}%`
    axis.append(mark)
  }
  return dress(axis, { 'aria-hidden': 'true' })
}

/**
 * @param {Candidate} candidate
 * @param {number} lengthMs
 */
function track({ startedMs, ms = 0 }, lengthMs) {
  if (startedMs === undefined) return el('div.track')
  const bar = el('i')
  bar.style.left = `${(100 * startedMs) / lengthMs}%`
  bar.style.width = `${(100 * ms) / lengthMs}%`
  return el('div.track', bar, el('span.hidden', `asked after ${duration(startedMs)}`))
}

/** @param {Candidate} candidate */
function stateOf({ chosen, divergent, outcome }) {
  if (chosen) return 'chosen'
  if (divergent) return 'divergent'
  if (outcome === 'ok' || outcome === 'not_found') return 'passed'
  return outcome === 'skipped' || outcome === 'canceled' ? 'idle' : 'failed'
}

/** @param {Candidate} candidate */
function divergence({ divergent, digest, registry }) {
  if (divergent !== true || digest === undefined) return undefined
  const name = `the other digest, of ${registry}`
  return el('span.said', el('span.mark', 'another image'), ' ', identifier(digest, name))
}

/**
 * @param {string} reference
 * @param {readonly Exchange[]} exchanges
 */
function requests(reference, exchanges) {
  if (exchanges.length === 0) return undefined
  return el(
    'details',
    el('summary', several(exchanges.length, 'request'), ' for ', el('code', ...spelled(reference))),
    el('ol.exchanges', ...exchanges.map(exchange)),
  )
}

/** @param {Exchange} each */
function exchange({ method, url, status, ms, remaining, warning }) {
  const left = remaining === undefined ? '' : `${remaining} left. `
  const notes = left + (warning === undefined ? '' : `It warns: ${warning}`)
  return el(
    'li',
    dress(el('code', `${method} ${shorten(url)}`), { title: url }),
    el('span', status === undefined ? 'no answer' : String(status)),
    el('span', duration(ms)),
    notes === '' ? undefined : el('small', notes),
  )
}

/** @import { Candidate, Exchange } from '../../../api/v1/candidate.ts' */
