const WORD = `[\\w.-]*(?:token|pass|pwd|secret|key|auth|credential|datastore-endpoint)[\\w.-]*["']?`
/** From its start: looked for at each character of a long word, it takes the square of its length. */
const NAME = `(?<![\\w.-])${WORD}`
const VALUE = `(?:[^\\s"'\\\\]|"[^"]*"|'[^']*')+`
/** Of YAML: the lines below that are further in are the value. */
const BLOCK = '[|>][-+\\d]*\\s*(?:#.*)?$'

/** Each with what goes before the secret as its first group. */
const SECRETS: readonly RegExp[] = [
  /\b((?:Bearer|Basic)\s+)[^\s"']+/gi,
  // A line that sets something: all of its rest.
  new RegExp(`^(\\s*(?:-\\s+)?(?:export\\s+)?["']?${NAME}\\s*=\\s*)\\S.*$`, 'i'),
  new RegExp(`(${NAME}\\s*:\\s*)(?!\\s|${BLOCK}).+$`, 'i'),
  // A word in quotes, and one without.
  new RegExp(`((["'])-{0,2}${WORD}=)(?:(?!\\2|\\s--).)+`, 'gi'),
  new RegExp(`(${NAME}=)${VALUE}`, 'gi'),
  new RegExp(`((?<![\\w.-])--${WORD}\\s+)(?:"[^"]*"|'[^']*')`, 'gi'),
  new RegExp(`((?<![\\w.-])--${WORD}\\s+["']?)(?!-)(?:[^\\s"'\\\\])+`, 'gi'),
]
const USER = /(:\/\/)[^\s"']*@/g
/** Of YAML: its first group is in front of the name, its second the value. */
const FIELD = new RegExp(`^(\\s*(?:#\\s*)?(?:-\\s+)*)["']?${NAME}\\s*:(?:\\s+(.*))?$`, 'i')
const ANY_FIELD = /^\s*(?:#\s*)*(?:-\s+)*["']?[\w.-]+["']?\s*:(?:\s|$)/
/** Of an environment or a unit. */
const VARIABLE = new RegExp(`^\\s*(?:export\\s+)?${NAME}\\s*=`, 'i')
const ASSIGNED = new RegExp(`${NAME}=`, 'i')
const GOES_ON = /(?<!\\)(?:\\\\)*\\$/
/** k3s writes each argument of its unit on a line of its own. */
const FLAG_ENDS = new RegExp(`(?:^|\\s)["']?--${WORD}\\s*\\\\$`, 'i')

/** Longer lines are not looked at, and not shown. */
const MAX_LINE = 8 * 1024

/** Lines of a file with `***` in the place of what may be a secret. */
export function masked(lines: readonly string[]): readonly string[] {
  const isBelow = belowField()
  const isRest = restOfVariable()
  let isValue = false
  return lines.map((whole) => {
    // Below the last one may be that the file has no end of line.
    const [line = '', ...note] = whole.split('\n')
    if (line.length > MAX_LINE) return ['***', ...note].join('\n')
    const isHidden = isValue && !/^\s*["']?--/.test(line)
    isValue = FLAG_ENDS.test(line)
    const isInside = [isBelow(line), isRest(line), isHidden].includes(true)
    const shown = isInside ? line.replace(/\S.*?(?=\s*\\?$)/, '***') : maskedLine(line)
    return [shown, ...note].join('\n')
  })
}

/** Tells of one line after the other whether it is of the value of a field above it: further in, or an item of a list. */
function belowField(): (line: string) => boolean {
  let field: { readonly column: number; readonly isOpen: boolean } | undefined
  return (line) => {
    const indent = line.search(/\S/)
    if (field !== undefined) {
      const { column, isOpen } = field
      const isIn = indent > column || (isOpen && indent === column && /^\s*-\s/.test(line))
      // Fields below it have names of their own.
      if (indent === -1 || (isIn && !(isOpen && ANY_FIELD.test(line)))) return true
    }
    const [, before, value = ''] = FIELD.exec(line) ?? []
    const isOpen = /^(?:#.*)?$/.test(value)
    field = before === undefined ? undefined : { column: before.length, isOpen }
    return false
  }
}

/** The same of a variable's value, which goes on in quotes and after a backslash. */
function restOfVariable(): (line: string) => boolean {
  let [quote, isOpen] = ['', false]
  return (line) => {
    const isRest = isOpen
    const isComment = !isRest && /^\s*[#;]/.test(line)
    quote = isComment ? '' : quoteAfter(line, isRest ? quote : '')
    const isStart = VARIABLE.test(line) || (quote !== '' && ASSIGNED.test(line))
    isOpen = !isComment && (isRest || isStart) && (quote !== '' || GOES_ON.test(line))
    return isRest
  }
}

/** The quote that is open at the end of a line; '' where none is. */
function quoteAfter(line: string, before: string): string {
  let open = before
  for (const [mark] of line.matchAll(/\\.|["']/g)) {
    if (mark === open) open = ''
    else if (open === '' && mark.length === 1) open = mark
  }
  return open
}

function maskedLine(line: string): string {
  const shown = line.replace(USER, '$1***@')
  return SECRETS.reduce((text, secret) => text.replace(secret, '$1***'), shown)
}
