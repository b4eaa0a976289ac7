import { byId, dress, el, fill, svg } from './dom.js'
import { duration, percent, several } from './words.js'

/** Where an answer can come from, the nearest first. */
const TIERS = /** @type {const} */ ([
  ['cache', 'memory'],
  ['shared', 'other nodes'],
  ['registry', 'registries'],
  ['stale', 'old answers'],
  ['failed', 'no answer'],
])

/**
 * Which tier answered since the start, and how the shared store does.
 *
 * @param {StatsResponse} stats
 */
export function showTiers({ cache, pulls, resolutions, shared }) {
  const all = TIERS.reduce((sum, [tier]) => sum + resolutions[tier], 0)
  const shown = TIERS.filter(([tier]) => resolutions[tier] > 0 || (tier === 'shared' && shared))
  let x = 0
  const bar = dress(svg('svg', { viewBox: '0 0 100 1', preserveAspectRatio: 'none' }), {
    class: 'bar',
    'aria-hidden': 'true',
  })
  for (const [tier] of shown) {
    const width = (100 * resolutions[tier]) / Math.max(1, all)
    bar.append(svg('rect', { class: `tier-${tier}`, x, width, height: 1 }))
    x += width
  }
  const keys = shown.map(([tier, name]) =>
    el(
      'li',
      dress(el('i'), { class: `tier-${tier}` }),
      `${name} `,
      el('b', resolutions[tier].toLocaleString('en')),
      el('small', percent(all === 0 ? null : resolutions[tier] / all)),
    ),
  )
  fill(byId('tiers'), bar, el('ul.keys', ...keys))
  byId('counts').textContent =
    (all === 0 ? 'Nothing was asked yet. ' : '') +
    `Memory keeps ${several(cache.entries, 'answer')}.${pullsText(pulls)}`
  byId('shared').hidden = shared === undefined
  if (shared === undefined) return
  byId('shared').className = shared.leftAlone ? 'warn' : 'quiet'
  byId('shared').textContent = sharedText(shared)
}

/** @param {NonNullable<StatsResponse['shared']>} shared */
function sharedText({ commandP99Ms, leftAlone, lookups, signatureFailures }) {
  const known = lookups.answer + lookups.absence
  const asked = known + lookups.none
  const state = leftAlone
    ? 'left alone, since it does not answer in time; registries are asked without it'
    : 'in use'
  const share = `it knew ${known} of ${several(asked, 'question')}`
  const time =
    commandP99Ms === null ? '' : `, 99 % of its answers came within ${duration(commandP99Ms)}`
  const forged =
    signatureFailures === 0
      ? ''
      : ` ${several(signatureFailures, 'entry', 'entries')} with a wrong signature.`
  return `Shared store: ${state}; ${share}${time}.${forged}`
}

/** @param {StatsResponse['pulls']} pulls */
function pullsText({ failed, passedOn, pulled }) {
  if (pulled + failed + passedOn === 0) return ''
  return ` Of the pulls since the start ${pulled} came from registries chosen here, ${passedOn} went to the runtime as they came, ${failed} failed.`
}

/** @import { StatsResponse } from '../../../api/v1/stats.ts' */
