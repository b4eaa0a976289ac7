// Of a script that did not load, too: those errors do not bubble. page.js hides the element when it has
// started, and where not even this file loads the style sheet shows it after a while.
for (const kind of ['error', 'unhandledrejection']) {
  addEventListener(
    kind,
    (/** @type {any} */ event) => {
      const broken = document.getElementById('broken')
      if (broken === null) return
      broken.className = ''
      broken.hidden = false
      broken.append(` ${event.message ?? event.reason ?? event.target?.src ?? ''}`)
    },
    true,
  )
}

// Before the first paint, so that the other theme does not flash up.
const chosen = localStorage.getItem('theme')
if (chosen !== null) document.documentElement.dataset.theme = chosen
