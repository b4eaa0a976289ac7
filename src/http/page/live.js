import { ApiError, get, hasToken } from './api.js'
import { showCheck } from './check.js'
import { byId, fill } from './dom.js'
import { History } from './history.js'
import { Images } from './images.js'
import { Plot } from './plot.js'
import { registriesText, registryRow } from './registries.js'
import { duration, percent, several, span } from './words.js'

const EVERY_MS = 5_000
/** The list of a node's images is long and changes seldom. */
const IMAGES_EVERY = 6

const FOR_TOKEN =
  'They are told for http.token of the configuration alone: the runtime’s own socket is for root.'

/** What changes by itself: asked for again and again, while the page is visible. */
export class Live {
  /** @param {() => void} onTokenWanted */
  constructor(onTokenWanted) {
    this.onTokenWanted = onTokenWanted
    this.history = new History()
    this.images = new Images()
    this.hitRate = new Plot('Cache hit rate', [''], percent, 1)
    this.latency = new Plot('Asking registries', ['p50', 'p99'], (ms) =>
      ms === null ? '–' : duration(ms),
    )
    this.round = 0
    /** @type {number | undefined} */
    this.timer = undefined
    byId('plots').append(this.hitRate.view, this.latency.view)
    document.addEventListener('visibilitychange', () => this.look())
  }

  /** Now, and then every few seconds. */
  async look() {
    clearTimeout(this.timer)
    if (document.hidden) return
    const pauseMs = await this.#lookOnce().catch((error) => this.#explain(error))
    clearTimeout(this.timer)
    // Without the token every answer is the same; entering it asks again.
    if (pauseMs !== undefined) this.timer = setTimeout(() => this.look(), pauseMs)
  }

  async #lookOnce() {
    const [ready, stats, { registries }] = await Promise.all([
      get('readyz'),
      get('stats'),
      get('registries'),
    ])
    this.#showService(ready, stats)
    if (this.round === 0) await this.#showVersion()
    this.#showRegistries(stats, registries)
    if (this.round % IMAGES_EVERY === 0) await this.#lookAtImages(ready)
    this.round += 1
    return EVERY_MS
  }

  async #showVersion() {
    const { version, commit } = await get('version')
    byId('version').textContent = `${version}${commit === null ? '' : ` (${commit})`}`
  }

  /** @param {ReadyResponse} ready */
  async #lookAtImages({ doors }) {
    // Without a runtime the list is an error, and browsers log each of those.
    const cri = doors.find(({ door }) => door === 'cri')
    if (cri?.open !== true) return this.images.explain(cri?.reason ?? 'There is no runtime here.')
    if (!hasToken()) return this.images.explain(FOR_TOKEN, this.onTokenWanted)
    try {
      const { images } = await get('images')
      this.images.show(images)
      showCheck(await get('check'))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // On loopback the rest of the page is told without it.
      this.images.explain(error.message, error.wantsToken ? this.onTokenWanted : undefined)
    }
  }

  /**
   * @param {ReadyResponse} ready
   * @param {StatsResponse} stats
   */
  #showService({ status, doors }, { uptimeSeconds, configuration }) {
    const closed = doors.filter(({ open }) => !open)
    const why = closed.map(({ door, reason }) => `${door}: ${reason ?? 'closed'}`).join('; ')
    const reload = configuration.lastReloadFailed
      ? ' · the last change of the configuration was refused'
      : ''
    const isWell = status === 'ready' && reload === ''
    const text = status === 'ready' ? `ready, up ${span(uptimeSeconds)}` : `not ready: ${why}`
    this.#say(text + reload, isWell ? 'good' : 'warn')
  }

  /**
   * @param {StatsResponse} stats
   * @param {readonly RegistryStatus[]} registries
   */
  #showRegistries(stats, registries) {
    const { history } = this
    history.add(Date.now(), stats, registries)
    byId('registries-said').textContent = registriesText(registries)
    fill(
      byId('registries'),
      ...registries.map((each) => registryRow(each, history.latencies.get(each.name) ?? [])),
    )
    this.hitRate.show(history.hitRates())
    this.latency.show(history.resolving())
    const { cache, resolutions } = stats
    byId('counts').textContent =
      `Since the start ${percent(cache.hitRate)} came from the cache, which keeps ` +
      `${several(cache.entries, 'answer')}; ${resolutions.failed} failed.`
  }

  /**
   * @param {unknown} error
   * @returns milliseconds to wait
   */
  #explain(error) {
    if (!(error instanceof ApiError)) throw error
    if (error.wantsToken) this.onTokenWanted()
    this.#say(error.message, 'bad')
    const { retryAfterSeconds = 0 } = error
    return error.wantsToken ? undefined : Math.max(EVERY_MS, retryAfterSeconds * 1000)
  }

  /**
   * @param {string} text
   * @param {'good' | 'warn' | 'bad'} kind
   */
  #say(text, kind) {
    const service = byId('service')
    service.className = kind
    service.textContent = text
    document.body.classList.toggle('old', kind === 'bad')
  }
}

/** @import { ReadyResponse } from '../../../api/v1/health.ts' */
/** @import { RegistryStatus } from '../../../api/v1/registries.ts' */
/** @import { StatsResponse } from '../../../api/v1/stats.ts' */
