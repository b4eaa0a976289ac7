/** More cannot be told apart in a plot. */
const MOST_MOMENTS = 120

/**
 * @param {Pick<StatsHistoryResponse, 'at' | 'everySeconds'>} history
 * @param {readonly (number | null)[]} line the oldest value first
 * @returns {Moment[]}
 */
export function momentsOf({ at, everySeconds }, line) {
  const last = Date.parse(at)
  return line.map((value, i) => ({
    at: last - (line.length - 1 - i) * everySeconds * 1_000,
    values: [value],
  }))
}

/**
 * What the plots show, with some minutes together where the history is long: the hit rate of all their questions,
 * the mean of the medians, and the highest of the 99th percentiles.
 *
 * @param {StatsHistoryResponse} history
 * @returns {{ hitRate: Moment[], latency: Moment[] }}
 */
export function plotsOf({ at, everySeconds, hitRate, p50Ms, p99Ms, resolutions }) {
  const { length } = resolutions
  const step = Math.ceil(length / MOST_MOMENTS)
  /** @type {ReturnType<typeof plotsOf>} */
  const plots = { hitRate: [], latency: [] }
  // From the end, so that the last moment has all of its minutes.
  for (let end = length; end > 0; end -= step) {
    const from = Math.max(0, end - step)
    const time = Date.parse(at) - (length - end) * everySeconds * 1_000
    const asked = resolutions.slice(from, end)
    const hits = asked.map((count, i) => count * (hitRate[from + i] ?? 0))
    const rate = sum(asked) === 0 ? null : sum(hits) / sum(asked)
    const typical = measured(p50Ms.slice(from, end))
    const slow = measured(p99Ms.slice(from, end))
    const latency =
      slow.length === 0 ? [null, null] : [sum(typical) / typical.length, Math.max(...slow)]
    plots.hitRate.unshift({ at: time, values: [rate] })
    plots.latency.unshift({ at: time, values: latency })
  }
  return plots
}

/** @param {readonly (number | null)[]} values */
function measured(values) {
  return values.filter((value) => value !== null)
}

/** @param {readonly number[]} values */
function sum(values) {
  return values.reduce((all, each) => all + each, 0)
}

/** @import { StatsHistoryResponse } from '../../../api/v1/stats.ts' */
/** @import { Moment } from './plot.js' */
