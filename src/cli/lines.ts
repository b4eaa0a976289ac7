export interface Line {
  /** Without its line ending; only the first characters of one that is too long. */
  readonly text: string
  readonly tooLong: boolean
}

/** The longest line that is read whole. */
export const MAX_LINE_CHARACTERS = 65_536

const KEPT_CHARACTERS = 256

/**
 * Cuts UTF-8 input into lines at `\n` or `\r\n`, and yields the lines that each chunk completes, as
 * it arrives. A byte order mark at the start is dropped. An empty line is a line; the newline that ends the input begins none. Of a line
 * beyond the limit only the beginning is kept, however long it runs on.
 */
export async function* linesOf(
  input: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<readonly Line[]> {
  const decoder = new TextDecoder()
  let partial = ''
  let tooLong = false

  const finish = (rest: string): Line => {
    const whole = partial + rest
    const over = tooLong || whole.length > MAX_LINE_CHARACTERS
    partial = ''
    tooLong = false
    if (over) return { text: whole.slice(0, KEPT_CHARACTERS), tooLong: true }
    return { text: whole.endsWith('\r') ? whole.slice(0, -1) : whole, tooLong: false }
  }

  for await (const chunk of input) {
    const pieces = (
      typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    ).split('\n')
    const last = pieces.pop() ?? ''
    const lines = pieces.map(finish)
    partial += last
    if (partial.length > MAX_LINE_CHARACTERS) {
      partial = partial.slice(0, KEPT_CHARACTERS)
      tooLong = true
    }
    if (lines.length > 0) yield lines
  }
  const rest = decoder.decode()
  if (partial !== '' || rest !== '') yield [finish(rest)]
}
