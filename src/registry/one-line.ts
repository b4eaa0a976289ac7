const MAX_CHARACTERS = 200
const ADDRESS = /https?:\/\//i

/** Printable, at most 200 characters, and without the query strings in which signed URLs keep their secrets. */
export function oneLine(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
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
