import { ApiError, get, hasToken } from './api.js'
import { Browse } from './browse.js'
import { showCheck } from './check.js'
import { byId, fill } from './dom.js'
import { momentsOf, plotsOf } from './history.js'
import { Images } from './images.js'
import { Plot, windowOf } from './plot.js'
import { Pulls } from './pulls.js'
import { registriesText, registryRow } from './registries.js'
import { showTiers } from './tiers.js'
import { duration, percent, span } from './words.js'

const EVERY_MS = 5_000
/** The list of a node's images is long and changes seldom, and the history has a value a minute. */
const SELDOM = 6

const FOR_TOKEN =
  'They are told for http.token of the configuration alone: the runtime’s own socket is for root.'
/**
 * What the service calls doors.
 *
 * @type {Record<string, string>}
 */
const SERVERS = { cri: 'the CRI socket is closed', http: 'the HTTP API is closed' }

/** What changes by itself: asked for again and again, while the page is visible. */
export class Live {
  /** @param {() => void} onTokenWanted */
  constructor(onTokenWanted) {
    this.onTokenWanted = onTokenWanted
    this.browse = new Browse(onTokenWanted)
    this.images = new Images()
    this.pulls = new Pulls()
    this.hitRate = new Plot('Answered without a registry', [''], percent, 1)
    this.latency = new Plot('Asking registries', ['typical', '99 %'], (ms) =>
      ms === null ? '–' : duration(ms),
    )
    /** @type {Map<string, readonly Moment[]>} by name of the registry */
    this.latencies = new Map()
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
    showTiers(stats)
    this.browse.offer(registries)
    if (this.round === 0) await this.#showVersion()
    if (this.round % SELDOM === 0) this.#showHistory(await get('stats/history'))
    this.#showRegistries(registries)
    const wasPulling = this.pulls.running > 0
    if (hasToken()) await this.pulls.look()
    const hasPulled = wasPulling && this.pulls.running === 0
    if (this.round % SELDOM === 0 || hasPulled) await this.#lookAtImages(ready)
    this.round += 1
    return EVERY_MS
  }

  async #showVersion() {
    const { version, commit } = await get('version')
    byId('version').textContent =
      `image-resolver ${version}${commit === null ? '' : ` (${commit})`}`
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
    const why = closed.map(({ door, reason }) => reason ?? SERVERS[door] ?? door).join('; ')
    const reload = configuration.lastReloadFailed
      ? ' · the last change of the configuration was refused'
      : ''
    const isWell = status === 'ready' && reload === ''
    const text = status === 'ready' ? `ready, up ${span(uptimeSeconds)}` : `not ready: ${why}`
    this.#say(text + reload, isWell ? 'good' : 'warn')
  }

  /** @param {StatsHistoryResponse} history */
  #showHistory(history) {
    const { hitRate, latency } = plotsOf(history)
    this.hitRate.show(hitRate)
    this.latency.show(latency)
    byId('window').textContent = windowOf(hitRate)[1]
    this.latencies = new Map(
      history.registries.map(({ name, latencyMs }) => [name, momentsOf(history, latencyMs)]),
    )
  }

  /** @param {readonly RegistryStatus[]} registries */
  #showRegistries(registries) {
    byId('registries-said').textContent = registriesText(registries)
    const list = byId('registries')
    fill(list, ...registries.map((each) => registryRow(each, this.latencies.get(each.name) ?? [])))
    // What scrolls has to be reached by the keyboard.
    list.tabIndex = list.scrollHeight > list.clientHeight ? 0 : -1
  }

  /**
   * @param {unknown} error
   * @returns milliseconds to wait
   */
  #explain(error) {
    if (!(error instanceof ApiError)) {
      // It is shown, and the next look may find everything as it should be.
      reportError(error)
      return EVERY_MS
    }
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
/** @import { StatsHistoryResponse, StatsResponse } from '../../../api/v1/stats.ts' */
/** @import { Moment } from './plot.js' */
