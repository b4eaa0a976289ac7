import { ApiError, get } from './api.js'
import { resolving } from './copy.js'
import { byId, dress, el, fill } from './dom.js'
import { size, span } from './words.js'

/** While something is pulled; the service counts no more often. */
const EVERY_MS = 1_000

/** The pulls that run, with their bytes and layers. */
export class Pulls {
  constructor() {
    this.running = 0
    /** @type {number | undefined} */
    this.timer = undefined
  }

  /** Now, and every second while there are some. What is wrong is said where the whole page is refreshed. */
  async look() {
    clearTimeout(this.timer)
    const { pulls, running } = await get('pulls').catch((error) => {
      if (!(error instanceof ApiError)) throw error
      return { pulls: [], running: 0 }
    })
    this.running = running
    byId('pulls').hidden = running === 0
    byId('pulls-title').textContent = running === 1 ? 'Pulling now' : `Pulling now: ${running}`
    fill(byId('pulls-rows'), ...pulls.map(row))
    clearTimeout(this.timer)
    if (running === 0 || document.hidden) return
    this.timer = setTimeout(() => this.look(), EVERY_MS)
  }
}

/** @param {PullRecord} pull */
function row({ layers, pod, reference, registry, seconds }) {
  const from = registry === null ? 'by the runtime itself' : `from ${registry}`
  const pods = pod === undefined ? '' : ` · for pod ${pod.namespace}/${pod.name}`
  return el(
    'li.pull',
    resolving('a', reference),
    el('span.size', layers === undefined ? span(seconds) : bytesText(layers)),
    bar(reference, layers),
    el('small', `${from}${pods}`),
    el('small.size', layers === undefined ? '' : layersText(layers, seconds)),
  )
}

/**
 * @param {string} reference
 * @param {PullLayers | undefined} layers
 */
function bar(reference, layers) {
  const known = layers !== undefined && layers.totalBytes > 0
  const progress = dress(el('progress'), { 'aria-label': `Pull of ${reference}` })
  return known ? dress(progress, { max: layers.totalBytes, value: layers.bytes }) : progress
}

/** @param {PullLayers} layers */
function bytesText({ bytes, totalBytes }) {
  return `${size(bytes)} of ${size(totalBytes)}`
}

/**
 * @param {PullLayers} layers
 * @param {number} seconds
 */
function layersText({ done, total }, seconds) {
  return `${done} of ${total} layers · ${span(seconds)}`
}

/** @import { PullLayers, PullRecord } from '../../../api/v1/images.ts' */
