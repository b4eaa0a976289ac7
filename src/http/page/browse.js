import { ApiError, get, hasToken } from './api.js'
import { resolving } from './copy.js'
import { byId, dress, el, fill } from './dom.js'
import { failureText } from './failure.js'
import { several } from './words.js'

const PAGE = 100
/** Of a registry with a path a page of the catalogue may have no name that is below it. */
const MOST_EMPTY_PAGES = 20

/** What was resolved lately, and what a configured registry lists: repositories and their tags. Nothing is asked before the form is sent. */
export class Browse {
  /** @param {() => void} onTokenWanted */
  constructor(onTokenWanted) {
    this.onTokenWanted = onTokenWanted
    /** @type {readonly RegistryStatus[]} */
    this.registries = []
    /** @type {string[]} */
    this.names = []
    /** @type {string | null} */
    this.next = null
    this.asking = new AbortController()
    byId('browse').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault()
      void this.#open()
    })
    byId('browse-more').addEventListener('click', () => this.#more())
    byId('browse-names').addEventListener('click', (/** @type {Event} */ { target }) => {
      const button = target instanceof Element ? target.closest('button') : null
      if (button === null) return
      byId('browse-repository').value = button.textContent
      void this.#open()
    })
  }

  /** @param {readonly RegistryStatus[]} registries */
  offer(registries) {
    this.registries = registries
    byId('browsing').hidden = registries.length === 0 && !hasToken()
    const own = hasToken() ? [dress(el('option', 'resolved lately'), { value: '' })] : []
    const options = registries.map(({ name }) => dress(el('option', name), { value: name }))
    fill(byId('browse-registry'), ...options, ...own)
  }

  async #open() {
    this.registry = byId('browse-registry').value
    this.repository = byId('browse-repository').value.trim()
    this.names = []
    this.next = null
    this.#draw()
    await this.#more()
  }

  async #more() {
    this.asking.abort()
    this.asking = new AbortController()
    const { signal } = this.asking
    this.#say('Asking…', 'quiet')
    try {
      await this.#read(signal)
      this.#draw()
      this.#say(this.#count(), 'quiet')
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof ApiError)) throw error
      if (error.wantsToken) this.onTokenWanted()
      this.#say(failureText(error), 'bad')
    }
  }

  /** @param {AbortSignal} signal */
  async #read(signal) {
    const { registry = '', repository = '' } = this
    if (registry === '') {
      const { answers } = await get('cache?n=1000', signal)
      const found = answers.map((/** @type {{ reference: string }} */ each) => each.reference)
      this.names = [...new Set(found)].filter((each) => each.includes(repository))
      return
    }
    const path = `registries/${encodeURIComponent(registry)}/${repository ? 'tags' : 'images'}`
    for (let page = 0; page < MOST_EMPTY_PAGES; page += 1) {
      const query = new URLSearchParams({ n: String(PAGE) })
      if (repository) query.set('repository', repository)
      if (this.next !== null) query.set('last', this.next)
      const { next, repositories, tags } = await get(`${path}?${query}`, signal)
      const names = tags ?? repositories
      this.names.push(...names)
      this.next = next
      if (names.length > 0 || next === null) return
    }
  }

  #draw() {
    const { names, next, registries, registry, repository } = this
    const { address = '' } = registries.find(({ name }) => name === registry) ?? {}
    const place = `${address.split('//')[1]}/${repository}`
    const view = (/** @type {string} */ name) => {
      if (registry === '') return resolving('a', name)
      if (repository) return resolving('a', `${place}:${name}`, [name])
      return dress(el('button.plain', name), { type: 'button' })
    }
    fill(byId('browse-names'), ...names.map((name) => el('li', view(name))))
    byId('browse-more').hidden = next === null
  }

  #count() {
    const { names, next, registry, repository } = this
    if (registry === '') return `${several(names.length, 'reference')}, the last one first.`
    const noun = repository
      ? several(names.length, 'tag')
      : several(names.length, 'repository', 'repositories')
    const more = next === null ? '' : ', and there are more'
    return `${noun}${more}. ${repository ? 'One click resolves a tag.' : 'One click lists the tags.'}`
  }

  /**
   * @param {string} text
   * @param {'quiet' | 'bad'} kind
   */
  #say(text, kind) {
    byId('browse-said').className = kind
    byId('browse-said').textContent = text
  }
}

/** @import { RegistryStatus } from '../../../api/v1/registries.ts' */
