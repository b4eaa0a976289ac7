const SHOWN_CHARACTERS = 160

/**
 * Text from outside, in double quotes, fit for an error message or a terminal: shortened, control
 * characters escaped, and without the `user:password@` that people paste along with a URL.
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
