import { dress, el, fill, svg } from './dom.js'
import { clock } from './words.js'

const HOUR_MS = 3_600_000
const WINDOWS = /** @type {const} */ ([
  [HOUR_MS, 'over the last hour'],
  [6 * HOUR_MS, 'over the last six hours'],
  [24 * HOUR_MS, 'over the last day'],
])
const WIDTH = 300
const HEIGHT = 64

/**
 * One moment of a plot; null where there was nothing to measure.
 *
 * @typedef {{ at: number, values: readonly (number | null)[] }} Moment
 */

/**
 * How much of the past is shown of a service that runs for so long, and what that is called.
 *
 * @param {readonly Moment[]} moments
 */
export function windowOf(moments) {
  const length = (moments.at(-1)?.at ?? 0) - (moments[0]?.at ?? 0)
  return WINDOWS.find(([ms]) => length <= ms) ?? WINDOWS[2]
}

/** Lines over the last hours, drawn by hand. A pointer or the arrow keys show the values. */
export class Plot {
  /**
   * @param {string} title
   * @param {readonly string[]} names of the lines
   * @param {(value: number | null) => string} format
   * @param {number} [top] of the scale; without it the highest value
   */
  constructor(title, names, format, top) {
    this.title = title
    this.names = names
    this.format = format
    this.top = top
    /** @type {readonly Moment[]} */
    this.moments = []
    /** @type {number | undefined} */
    this.chosen = undefined
    this.readout = el('span.readout')
    this.ceiling = el('span')
    this.drawing = dress(svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}` }), {
      preserveAspectRatio: 'none',
      role: 'img',
      tabindex: 0,
    })
    this.view = el(
      'figure.plot',
      el('figcaption', el('b', title), this.readout),
      el('div.canvas', this.drawing, this.ceiling),
    )
    this.#listen()
  }

  /** @param {readonly Moment[]} moments the oldest first */
  show(moments) {
    this.moments = moments
    this.#draw()
  }

  #draw() {
    const { moments, names, drawing } = this
    const [windowMs] = windowOf(moments)
    const last = moments.at(-1)?.at ?? 0
    const values = moments.flatMap((each) => each.values).filter((value) => value !== null)
    const top = this.top ?? Math.max(...values, 0.001) * 1.15
    const x = (/** @type {number} */ at) => WIDTH - ((last - at) / windowMs) * WIDTH
    const y = (/** @type {number} */ value) => HEIGHT - 2 - (value / top) * (HEIGHT - 4)
    this.ceiling.textContent = values.length === 0 ? '' : this.format(top)
    const lines = names.map((_, i) =>
      svg('path', { class: `line line-${i}`, d: path(moments, i, x, y) }),
    )
    const pointed = this.chosen === undefined ? undefined : moments[this.chosen]
    const at = pointed === undefined ? 0 : x(pointed.at)
    const hair = svg('path', { class: 'hair', d: `M${at} 0V${HEIGHT}` })
    drawing.replaceChildren(...lines, ...(pointed === undefined ? [] : [hair]))
    this.#say(pointed ?? lastMeasured(moments), pointed !== undefined, values)
  }

  /**
   * @param {Moment | undefined} moment
   * @param {boolean} isPointed
   * @param {readonly number[]} values
   */
  #say(moment, isPointed, values) {
    const { names, format, title, moments } = this
    const read = names.map((name, i) => {
      const text = format(moment?.values[i] ?? null)
      return el(`span.key-${i}`, ` ${name} ${text}`)
    })
    fill(this.readout, isPointed && moment ? `${clock(moment.at).slice(0, -3)} ` : '', ...read)
    const range = `between ${format(Math.min(...values))} and ${format(Math.max(...values))}`
    const text = values.length === 0 ? 'nothing yet' : `${this.readout.textContent}; ${range}`
    dress(this.drawing, { 'aria-label': `${title} ${windowOf(moments)[1]}: ${text}` })
  }

  #listen() {
    const { drawing } = this
    const point = (/** @type {number | undefined} */ index) => {
      this.chosen = index
      this.#draw()
    }
    drawing.addEventListener('pointermove', (event) => {
      const { moments } = this
      const { left, width } = drawing.getBoundingClientRect()
      const before = windowOf(moments)[0] * (1 - (event.clientX - left) / width)
      const at = (moments.at(-1)?.at ?? 0) - before
      point(moments.findIndex((each) => each.at >= at))
    })
    drawing.addEventListener('pointerleave', () => point(undefined))
    drawing.addEventListener('blur', () => point(undefined))
    drawing.addEventListener('keydown', (event) => {
      const step = Number(event.key === 'ArrowRight') - Number(event.key === 'ArrowLeft')
      if (step === 0) return
      event.preventDefault()
      const { length } = this.moments
      point(Math.min(length - 1, Math.max(0, (this.chosen ?? length) + step)))
    })
  }
}

/** Of the minute that has just begun there may be nothing yet. */
function lastMeasured(/** @type {readonly Moment[]} */ moments) {
  return moments.findLast(({ values }) => values.some((value) => value !== null))
}

/**
 * @param {readonly Moment[]} moments
 * @param {number} line
 * @param {(at: number) => number} x
 * @param {(value: number) => number} y
 */
export function path(moments, line, x, y) {
  // Where two moments have no value, the line has a gap.
  const gapMs = 2.5 * ((moments[1]?.at ?? 0) - (moments[0]?.at ?? 0))
  let drawn = ''
  let before = Number.NEGATIVE_INFINITY
  for (const { at, values } of moments) {
    const value = values[line] ?? null
    if (value === null) continue
    // A point without neighbours is a line of no length, which round ends make visible.
    drawn += at - before > gapMs ? `M${spot(x(at), y(value))}h0` : `L${spot(x(at), y(value))}`
    before = at
  }
  return drawn
}

/**
 * @param {number} x
 * @param {number} y
 */
function spot(x, y) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`
}
