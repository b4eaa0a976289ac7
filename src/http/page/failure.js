import { advice } from './advice.js'
import { el } from './dom.js'
import { duration, outcomes, shorten, span, steps } from './words.js'

/**
 * What went wrong, and what to do.
 *
 * @param {ApiError} error
 * @param {string} asked
 */
export function failureView(error, asked) {
  const { code, message, attempts, retryAfterSeconds } = error
  const wait = retryAfterSeconds === undefined ? '' : ` Ask again in ${span(retryAfterSeconds)}.`
  const todo = Object.entries(advice).find(([each]) => each === code)?.[1] ?? advice.UNKNOWN
  return el(
    'article.panel.failure',
    el('h2.asked', el('code', shorten(asked))),
    el('p', el('code.code', code)),
    el('p.message', message),
    el('p', el('b', 'What to do: '), todo, wait),
    ...(attempts.length === 0
      ? []
      : [el('h3', 'Who was asked'), el('ol.attempts', ...attempts.map(attemptView))]),
  )
}

/** @param {Attempt} attempt */
function attemptView({ registry, step, outcome, status, ms, message }) {
  const asked = outcome !== 'skipped'
  const how = [steps[step], status === undefined ? '' : `HTTP ${status}`, duration(ms)]
  return el(
    'li',
    el('b', registry),
    el(asked && outcome !== 'not_found' ? 'span.bad' : 'span.quiet', outcomes[outcome]),
    el('small', asked ? how.filter(Boolean).join(' · ') : ''),
    message === undefined ? undefined : el('span.said', message),
  )
}

/** @import { Attempt } from '../../../api/v1/candidate.ts' */
/** @import { ApiError } from './api.js' */
