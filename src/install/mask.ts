const NAME = `[\\w.-]*(?:token|password|secret|key|auth|credential|datastore-endpoint)[\\w.-]*["']?`
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
  new RegExp(`((["'])-{0,2}${NAME}=)(?:(?!\\2|\\s--).)+`, 'gi'),
  new RegExp(`(${NAME}=)${VALUE}`, 'gi'),
  new RegExp(`(--${NAME}\\s+["']?)(?!-)(?:[^\\s"'\\\\])+`, 'gi'),
]
const USER = /(:\/\/)[^\s"']*@/g
const BLOCK_STARTS = new RegExp(`${NAME}\\s*:\\s*${BLOCK}`, 'i')
/** k3s writes each argument of its unit on a line of its own. */
const FLAG_ENDS = new RegExp(`(?:^|\\s)["']?--${NAME}\\s*\\\\$`, 'i')

/** Lines of a file with `***` in the place of what may be a secret. */
export function masked(lines: readonly string[]): readonly string[] {
  let block: number | undefined
  let isValue = false
  return lines.map((line) => {
    const indent = line.search(/\S/)
    if (block !== undefined && (indent === -1 || indent > block)) {
      return line.replace(/\S.*$/, '***')
    }
    block = BLOCK_STARTS.test(line) ? indent : undefined
    const isHidden = isValue && !/^\s*["']?--/.test(line)
    isValue = FLAG_ENDS.test(line)
    return isHidden ? line.replace(/\S.*?(?=\s*\\?$)/, '***') : maskedLine(line)
  })
}

function maskedLine(line: string): string {
  // Below it is that the file has no end of line.
  const [first = '', ...note] = line.split('\n')
  const shown = first.replace(USER, '$1***@')
  const without = SECRETS.reduce((text, secret) => text.replace(secret, '$1***'), shown)
  return [without, ...note].join('\n')
}
