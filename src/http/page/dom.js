/** @typedef {Node | string | undefined} Child */

/**
 * An element. What comes from outside gets into the page here alone, and as text: never as markup.
 *
 * @param {string} kind a tag with classes behind it: `li.row.bad`
 * @param {...Child} children undefined is left out
 */
export function el(kind, ...children) {
  const [tag = '', ...classes] = kind.split('.')
  const element = document.createElement(tag)
  if (classes.length > 0) element.className = classes.join(' ')
  element.append(...children.filter((child) => child !== undefined))
  return element
}

/**
 * @template {Element} T
 * @param {T} element
 * @param {Record<string, string | number>} attributes
 */
export function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value))
  return element
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
export function svg(tag, attributes) {
  return dress(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes)
}

/**
 * @param {string} id of an element of the page
 * @returns {any} as what it is, which index.html says
 */
export function byId(id) {
  return document.getElementById(id)
}

/**
 * Makes these the children, unless they look as they did: what is under a pointer or has the focus
 * stays where it is while nothing changes.
 *
 * @param {Element} parent
 * @param {...Child} children
 */
export function fill(parent, ...children) {
  const before = [...parent.childNodes]
  const next = [...el('div', ...children).childNodes]
  const same =
    before.length === next.length && next.every((each, i) => each.isEqualNode(before[i] ?? null))
  if (!same) parent.replaceChildren(...next)
}
