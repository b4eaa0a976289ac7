import { advice, headlines } from './advice.js'
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
  // Together they are the message.
  const isTold =
    attempts.length > 0 && attempts.every((each) => message.includes(each.message ?? '\n'))
  return el(
    'article.panel.failure',
    el('h2.asked', el('code', shorten(asked))),
    el('p.headline', el('b', wordOf(headlines, code)), el('code.code', code)),
    isTold ? undefined : el('p.message', message),
    el('p', el('b', 'What to do: '), wordOf(advice, code), wait),
    ...(attempts.length === 0
      ? []
      : [el('h3', 'What each registry said'), el('ol.attempts', ...attempts.map(attemptView))]),
  )
}

/**
 * In one line, without what each registry said.
 *
 * @param {ApiError} error
 */
export function failureText({ code, message }) {
  return `${wordOf(headlines, code)}: ${message}`
}

/**
 * @param {Record<string, string>} words by error code; those of later versions are unknown
 * @param {string} code
 */
function wordOf(words, code) {
  return words[code] ?? words['UNKNOWN']
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
    message === undefined
      ? undefined
      : el('span.said', message.replace(`${registry.split('/')[0]}: `, '')),
  )
}

/** @import { Attempt } from '../../../api/v1/candidate.ts' */
/** @import { ApiError } from './api.js' */
