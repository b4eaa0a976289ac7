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
 * Makes these the children, and changes only what differs: what is under a pointer or has the focus
 * stays where it is.
 *
 * @param {Element} parent
 * @param {...Child} children without listeners of their own
 */
export function fill(parent, ...children) {
  patchChildren(parent, el('div', ...children))
}

/**
 * @param {Element} before
 * @param {Element} next
 */
function patchChildren(before, next) {
  const wanted = [...next.childNodes]
  const there = [...before.childNodes]
  for (const [i, child] of wanted.entries()) {
    const old = there[i]
    if (old === undefined) before.append(child)
    else if (!old.isEqualNode(child)) patch(old, child)
  }
  for (const old of there.slice(wanted.length)) old.remove()
}

/**
 * @param {ChildNode} before
 * @param {ChildNode} next
 */
function patch(before, next) {
  const isPatched =
    before instanceof Element && next instanceof Element && before.nodeName === next.nodeName
  if (!isPatched) return before.replaceWith(next)
  for (const { name } of [...before.attributes]) {
    if (!next.hasAttribute(name)) before.removeAttribute(name)
  }
  for (const { name, value } of next.attributes) before.setAttribute(name, value)
  patchChildren(before, next)
}
