import { dress, el } from './dom.js'
import { shorten } from './words.js'

const SHOWN_MS = 1500

/**
 * A digest, an ID or a reference: shortened where it is long, with a button that copies it whole.
 *
 * @param {string} text
 * @param {string} name what it is, in words
 */
export function identifier(text, name) {
  return el('span.identifier', dress(el('code', shorten(text)), { title: text }), copy(text, name))
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
