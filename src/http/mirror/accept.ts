/**
 * Whether a client takes a media type (RFC 9110, section 12.5.1).
 *
 * @param accept the header; absent or empty: it takes anything
 */
export function accepts(accept: string | undefined, mediaType: string): boolean {
  if (accept === undefined || accept.trim() === '') return true
  const [family = ''] = mediaType.split('/', 1)
  const fitting = new Set(['*/*', `${family}/*`, mediaType])
  return accept.split(',').some((item) => {
    const [type = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    return fitting.has(type) && !parameters.some((each) => /^q=0(?:\.0*)?$/.test(each))
  })
}
