const MAX_CHARACTERS = 200

/** Printable, at most 200 characters, and without the query strings in which signed URLs keep their secrets. */
export function oneLine(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .replace(/(https?:\/\/[^\s?#]*)[?#]\S*/gi, '$1')
    .slice(0, MAX_CHARACTERS)
}
