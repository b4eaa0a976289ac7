const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const

export type Colour = keyof typeof CODES

/** Text in a colour, or as it is where nobody sees colours. */
export type Ink = (text: string, colour: Colour) => string

/** A stream that may be a terminal. */
export interface Sheet {
  write(text: string): unknown
  readonly isTTY?: boolean
  /** Its reader is gone. */
  readonly destroyed?: boolean
}

/**
 * Colours on a terminal alone, and not where NO_COLOR (no-color.org) or TERM=dumb ask for none: what
 * is piped into a file or a program is plain text.
 */
export function inkFor(
  { isTTY }: Pick<Sheet, 'isTTY'>,
  environment: Readonly<Record<string, string | undefined>>,
): Ink {
  const { NO_COLOR: noColour = '', TERM: terminal } = environment
  if (isTTY !== true || noColour !== '' || terminal === 'dumb') return (text) => text
  return (text, colour) => `\u001b[${CODES[colour]}m${text}\u001b[0m`
}
