import type { IncomingHttpHeaders } from 'node:http'
import { oneLine } from './one-line.ts'

const WARNINGS = /(?:^|,)\s*299\s+\S+\s+"((?:[^"\\]|\\.)*)"/g

/**
 * The text of `Warning: 299 - "…"` (distribution-spec, "Warnings"): each one once, together one
 * line of at most 200 characters. undefined: there is none.
 */
export function warningOf(headers: IncomingHttpHeaders): string | undefined {
  const text = headers['warning']
  if (text === undefined) return undefined
  const said = [...text.matchAll(WARNINGS)].map(([, quoted = '']) =>
    quoted.replace(/\\(.)/g, '$1').trim(),
  )
  const line = oneLine([...new Set(said)].join('; '))
  return line === '' ? undefined : line
}
