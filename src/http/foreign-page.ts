/**
 * Whether a browser says that it asks for a page of another origin, which may be one of a stranger or
 * the next service on this machine. Such a page could not read the answer, but would learn from how
 * long it takes, and could have registries asked in our name. A person who types or follows an address
 * (`none`) is no page; nor is anything that is no browser, which says nothing of this.
 *
 * Browsers say it in `Sec-Fetch-Site` (W3C, Fetch Metadata) of every request to this machine; older
 * ones at least in `Origin` where a script asks.
 *
 * @param rawHeaders names and values in turns
 */
export function isOfForeignPage(rawHeaders: readonly string[]): boolean {
  let host: string | undefined
  let origin: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    // Most names need not be looked at: a cached answer takes hardly longer than that.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') host = rawHeaders[index + 1]
        break
      case 6:
        if (name.toLowerCase() === 'origin') origin = rawHeaders[index + 1]
        break
      case 14:
        if (name.toLowerCase() === 'sec-fetch-site') return !isOurs(rawHeaders[index + 1])
    }
  }
  return origin !== undefined && !names(origin, host)
}

function isOurs(site: string | undefined): boolean {
  return site === 'same-origin' || site === 'none'
}

function names(origin: string, host: string | undefined): boolean {
  return origin.replace(/^https?:\/\//i, '').toLowerCase() === host?.toLowerCase()
}
