const MAX_CHARACTERS = 200
const ADDRESS = /https?:\/\//i
/** What stands before the last @ of an authority (RFC 3986, section 3.2). */
const USERINFO = /\/\/[^\s/?#]*@/g

/**
 * Printable, at most 200 characters, and without the parts of URLs that hold secrets: the user and password
 * before the host, and the query string of signed ones.
 */
export function oneLine(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(USERINFO, '//')
    .replace(/\S+/g, withoutQuery)
    .slice(0, MAX_CHARACTERS)
}

/** Looked for in steps: one expression for it takes seconds on a registry's message of nothing but `http://`. */
function withoutQuery(word: string): string {
  const address = word.search(ADDRESS)
  if (address < 0) return word
  const length = word.slice(address).search(/[?#]/)
  return length < 0 ? word : word.slice(0, address + length)
}
