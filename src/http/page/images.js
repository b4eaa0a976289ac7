import { identifier, resolving } from './copy.js'
import { byId, dress, el, fill } from './dom.js'
import { several, size } from './words.js'

/** A list too long to be read must not slow the page down. */
const MOST_SHOWN = 100

/** The images of this node, of which those are shown that the filter matches. */
export class Images {
  constructor() {
    /** @type {readonly ImageRecord[]} */
    this.images = []
    this.filter = byId('filter')
    this.filter.addEventListener('input', () => this.#draw())
  }

  /** @param {readonly ImageRecord[]} images */
  show(images) {
    this.images = images
    this.#draw()
  }

  /**
   * @param {string} reason why there are none
   * @param {() => void} [onToken] asks for the token that would show them
   */
  explain(reason, onToken) {
    this.images = []
    this.#draw()
    byId('images-said').textContent = reason
    if (onToken === undefined) return
    const enter = dress(el('button.plain', 'Enter the token'), { type: 'button' })
    enter.addEventListener('click', onToken)
    byId('images-said').append(' ', enter)
  }

  #draw() {
    const { images } = this
    const wanted = this.filter.value.trim().toLowerCase()
    const found = images.filter(({ imageId, references }) =>
      [imageId, ...references].some((text) => text.toLowerCase().includes(wanted)),
    )
    const bytes = images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    byId('images-total').textContent =
      images.length === 0 ? '' : `${several(images.length, 'image')}, ${size(bytes)}`
    byId('images-said').textContent = tell(images.length, found.length, wanted)
    fill(byId('images'), ...found.slice(0, MOST_SHOWN).map(row))
  }
}

/**
 * @param {number} all
 * @param {number} found
 * @param {string} wanted
 */
function tell(all, found, wanted) {
  if (all === 0) return 'There is none yet.'
  if (found > MOST_SHOWN) return `The first ${MOST_SHOWN} of ${found}; the filter finds the others.`
  return wanted === '' ? '' : `${several(found, 'image')} found`
}

/** @param {ImageRecord} image */
function row({ imageId, references, sizeBytes, pinned }) {
  return el(
    'li.image',
    el(
      'div.names',
      ...references.filter((each) => !isExact(each)).map(link),
      ...references.filter(isExact).map(link),
      references.length === 0 ? el('span.quiet', 'no name') : undefined,
    ),
    el('div', identifier(imageId, `the ID of ${references[0] ?? 'this image'}`)),
    el('div.size', pinned ? el('small', 'pinned ') : undefined, size(sizeBytes)),
  )
}

/** People know images by their tags. */
function isExact(/** @type {string} */ reference) {
  return reference.includes('@')
}

/** @param {string} reference */
function link(reference) {
  return resolving(isExact(reference) ? 'a.exact' : 'a', reference)
}

/** @import { ImageRecord } from '../../../api/v1/images.ts' */
