import { answerView } from './answer.js'
import { ApiError, get, hasToken, useToken } from './api.js'
import { listenForCopies } from './copy.js'
import { byId } from './dom.js'
import { failureView } from './failure.js'
import { Live } from './live.js'
import { shorten } from './words.js'

const FIELDS = /** @type {const} */ (['ref', 'platform'])
const title = document.title
const live = new Live(askForToken)
let asking = new AbortController()

byId('ask').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault()
  const question = new URLSearchParams()
  for (const name of FIELDS) {
    const value = byId(name).value.trim()
    if (value !== '') question.set(name, value)
  }
  if (byId('all').checked) question.set('all', 'true')
  go(`?${question}`)
})

document.addEventListener('click', (event) => {
  const link = event.target instanceof Element ? event.target.closest('a[href^="?"]') : null
  if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return
  event.preventDefault()
  go(link.getAttribute('href') ?? '')
  byId('answer').scrollIntoView({ block: 'start' })
})

document.addEventListener('keydown', (event) => {
  const isTyping = event.target instanceof HTMLInputElement && event.target.type !== 'checkbox'
  if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return
  event.preventDefault()
  byId('ref').select()
})

byId('token-form').addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault()
  useToken(byId('token').value.trim())
  byId('token-form').hidden = true
  live.round = 0
  void refresh()
})

byId('theme').addEventListener('click', () => {
  const theme = isDark() ? 'light' : 'dark'
  document.documentElement.dataset['theme'] = theme
  localStorage.setItem('theme', theme)
  nameTheme()
})

window.addEventListener('popstate', refresh)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', nameTheme)
listenForCopies(say)
byId('broken').hidden = true
nameTheme()
void refresh()
if (location.search === '') byId('ref').focus()

/** @param {string} href the question, as it stands in the URL */
function go(href) {
  history.pushState(null, '', href)
  void refresh()
}

/** Asks what the URL asks. */
async function refresh() {
  const question = new URLSearchParams(location.search)
  for (const name of FIELDS) byId(name).value = question.get(name) ?? ''
  byId('all').checked = question.get('all') === 'true'
  const ref = question.get('ref') ?? ''
  document.title = ref === '' ? title : shorten(ref)
  if (ref !== '') await resolve(ref)
  await live.look()
}

/** @param {string} ref */
async function resolve(ref) {
  asking.abort()
  asking = new AbortController()
  const { signal } = asking
  const query = new URLSearchParams({ ref, explain: 'true' })
  if (byId('platform').value !== '') query.set('platform', byId('platform').value)
  if (byId('all').checked) query.set('all', 'true')
  const answer = byId('answer')
  answer.ariaBusy = 'true'
  say(`Asking for ${ref}`)
  try {
    const found = await get(`resolve?${query}`, signal)
    answer.replaceChildren(answerView(found))
    say(`${found.reference} is image ${shorten(found.imageId)}, from ${found.registry}.`)
  } catch (error) {
    if (signal.aborted) return
    fail(error, ref)
  }
  answer.ariaBusy = 'false'
}

/**
 * @param {unknown} error
 * @param {string} ref
 */
function fail(error, ref) {
  if (!(error instanceof ApiError)) throw error
  if (error.wantsToken) {
    askForToken()
    byId('answer').replaceChildren()
    return
  }
  byId('answer').replaceChildren(failureView(error, ref))
  say(`${error.code}: ${error.message}`)
}

function askForToken() {
  const form = byId('token-form')
  if (!form.hidden) return
  form.hidden = false
  byId('token-said').textContent = hasToken() ? 'The service does not know that token.' : ''
  byId('token').value = ''
  byId('token').focus()
}

/** @param {string} text for screen readers */
function say(text) {
  byId('said').textContent = text
}

function isDark() {
  const chosen = document.documentElement.dataset['theme']
  if (chosen !== undefined) return chosen === 'dark'
  return matchMedia('(prefers-color-scheme: dark)').matches
}

/** The button names what it makes of the page. */
function nameTheme() {
  byId('theme').textContent = isDark() ? 'Light theme' : 'Dark theme'
}
