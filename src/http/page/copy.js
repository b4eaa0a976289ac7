import { dress, el } from './dom.js'
import { shorten } from './words.js'

const SHOWN_MS = 1500
const SHORTENED_DIGEST = /@?sha\d+:[0-9a-f]{12}…[0-9a-f]{8}$/

/**
 * A digest, an ID or a reference: shortened where it is long, with a button that copies it whole.
 *
 * @param {string} text
 * @param {string} name what it is, in words
 */
export function identifier(text, name) {
  const code = dress(el('code', ...spelled(text)), { title: text })
  return el('span.identifier', code, copy(text, name))
}

/**
 * Shortened. Lines break behind a slash, and not in a digest at the end.
 *
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function spelled(text) {
  const short = shorten(text)
  const [digest = ''] = SHORTENED_DIGEST.exec(short) ?? []
  const parts = short.slice(0, short.length - digest.length).split(/(?<=\/)/)
  const name = parts.flatMap((part, i) => (i === 0 ? [part] : [el('wbr'), part]))
  return digest === '' ? name : [...name, el('span.digest', digest)]
}

/**
 * A link that resolves this reference.
 *
 * @param {string} kind of element, as for `el`
 * @param {string} reference
 * @param {readonly (Node | string)[]} [text]
 */
export function resolving(kind, reference, text = spelled(reference)) {
  const href = `?ref=${encodeURIComponent(reference)}`
  return dress(el(kind, ...text), { href, title: reference })
}

/**
 * @param {string} text
 * @param {string} name
 */
function copy(text, name) {
  const button = dress(el('button.copy', 'copy'), { type: 'button', 'aria-label': `Copy ${name}` })
  button.dataset['text'] = text
  return button
}

/** One listener for all of them, those to come included. */
export function listenForCopies(/** @type {(text: string) => void} */ say) {
  document.addEventListener('click', async ({ target }) => {
    const button = target instanceof Element ? target.closest('button.copy') : null
    if (!(button instanceof HTMLButtonElement)) return
    const done = await write(button.dataset['text'] ?? '')
    button.textContent = done ? 'copied' : 'failed'
    say(done ? 'Copied.' : 'The browser does not allow copying.')
    setTimeout(() => {
      button.textContent = 'copy'
    }, SHOWN_MS)
  })
}

/** @param {string} text */
async function write(text) {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return writeByHand(text)
  }
}

/**
 * Browsers have a clipboard only for pages of https and loopback.
 *
 * @param {string} text
 */
function writeByHand(text) {
  const before = document.activeElement
  const area = el('textarea.hidden')
  if (!(area instanceof HTMLTextAreaElement)) return false
  area.value = text
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  if (before instanceof HTMLElement) before.focus()
  return done
}
