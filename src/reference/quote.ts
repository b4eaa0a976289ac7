const SHOWN_CHARACTERS = 160

/**
 * Untrusted text in double quotes, for an error message or a terminal: shortened, control characters escaped, and
 * without the `user:password@` of a URL.
 */
export function quote(text: string): string {
  const safe = withoutCredentials(text)
  const shown = safe.length > SHOWN_CHARACTERS ? `${safe.slice(0, SHOWN_CHARACTERS)}…` : safe
  return `"${shown.replace(/["\\\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped)}"`
}

function escaped(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}

function withoutCredentials(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]{0,31}:\/\//i.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  // Without a scheme an `@` after the last slash starts a digest; before one, it ends credentials.
  const end = scheme === '' ? rest.lastIndexOf('/') : rest.length
  const at = rest.slice(0, Math.max(0, end)).lastIndexOf('@')
  return at < 0 ? text : `${scheme}***${rest.slice(at)}`
}

const MAX_CHARACTERS = 200
const ADDRESS = /https?:\/\//i
/** The part before the last @ of an authority (RFC 3986, section 3.2). */
const USERINFO = /\/\/[^\s/?#]*@/g

/**
 * Untrusted text on one line: printable, at most 200 characters or `limit`, and without the parts of URLs that hold secrets:
 * the user and password before the host, and the query string of signed ones.
 */
export function oneLine(text: string, limit = MAX_CHARACTERS): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(USERINFO, '//')
    .replace(/\S+/g, withoutQuery)
    .slice(0, limit)
}

/** In steps: a single expression takes seconds on a message of nothing but `http://`. */
function withoutQuery(word: string): string {
  const address = word.search(ADDRESS)
  if (address < 0) return word
  const length = word.slice(address).search(/[?#]/)
  return length < 0 ? word : word.slice(0, address + length)
}
