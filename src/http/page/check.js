import { spelled } from './copy.js'
import { byId, dress, el, fill } from './dom.js'
import { clock, several } from './words.js'

/** The first of them; GET /check has all. */
const MOST_SHOWN = 100

/** What each state means, in words; the first ones keep an image from starting elsewhere. */
const STATES = {
  gone: 'at no registry any more',
  'node-only': 'on this node alone, at no registry',
  denied: 'refused by its registries',
  different: 'not the same image everywhere',
  unknown: 'not known: a registry did not answer',
}
const LOST = ['gone', 'node-only', 'denied']
const STATE_NAMES = /** @type {readonly (keyof typeof STATES)[]} */ (Object.keys(STATES))

/**
 * The images in use that would not start on another node.
 *
 * @param {CheckResponse} check
 */
export function showCheck({ enabled, checkedAt, error, images }) {
  byId('check').hidden = !enabled
  if (!enabled) return
  const doubtful = STATE_NAMES.flatMap((state) => images.filter((each) => each.state === state))
  const lost = images.filter(({ state }) => LOST.includes(state))
  byId('check-title').textContent =
    lost.length === 0 ? 'Images in use' : 'These would not start on another node'
  byId('check').classList.toggle('alarm', lost.length > 0)
  const when = checkedAt === null ? 'They are not checked yet.' : `Checked on ${clock(checkedAt)}: `
  const good = images.length - doubtful.length
  const counts =
    checkedAt === null ? '' : `${good} of ${several(images.length, 'image')} can be pulled again.`
  byId('check-said').textContent =
    when + counts + (error === undefined ? '' : ` Since then: ${error}`)
  fill(byId('check-images'), ...doubtful.slice(0, MOST_SHOWN).map(row))
}

/** @param {CheckedImage} image */
function row({ reference, state, places }) {
  const isLost = LOST.includes(state)
  const said = places.map((each) => `${each.registry}: ${word(each.state)}`).join(', ')
  const href = `?ref=${encodeURIComponent(reference)}&all=true`
  return el(
    'li.checked',
    dress(el('a', ...spelled(reference)), { href, title: reference }),
    el(isLost ? 'span.bad' : 'span.warn', STATES[/** @type {keyof typeof STATES} */ (state)]),
    el('small', said),
  )
}

/** @param {CheckedImage['places'][number]['state']} state */
function word(state) {
  const words = { present: 'there', absent: 'not there', denied: 'refuses', unknown: 'no answer' }
  return words[state]
}

/** @import { CheckedImage, CheckResponse } from '../../../api/v1/check.ts' */
