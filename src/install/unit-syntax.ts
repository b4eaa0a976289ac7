/** Text as systemd takes it from a file, with the place of each character. */
export interface Word {
  readonly text: string
  readonly file: string
  /** Offsets in that file; -1 for a character that is from another one. */
  readonly at: readonly number[]
}

/** A variable of the environment. */
export interface Variable {
  readonly value: Word
  /** Offset at which more of its value can be written. */
  readonly end: number
}

/** Without comments, and with lines that end in a backslash put together (systemd.syntax(7)). */
export function logicalLines(text: string, file: string): readonly Word[] {
  const lines: Word[] = []
  let start = 0
  let [line, at]: [string, number[]] = ['', []]
  for (const each of text.split('\n')) {
    const from = start
    start += each.length + 1
    if (/^\s*[#;]/.test(each)) continue
    const isContinued = /(?<!\\)(?:\\\\)*\\\r?$/.test(each)
    const shown = isContinued ? each.replace(/\\\r?$/, ' ') : each
    for (let index = 0; index < shown.length; index += 1) at.push(from + index)
    line += shown
    if (isContinued) continue
    lines.push({ text: line, file, at })
    line = ''
    at = []
  }
  return line === '' ? lines : [...lines, { text: line, file, at }]
}

/**
 * The variables of a file of an environment, as systemd.exec(5) has it: a value goes on after a backslash at the end of
 * its line, and has quoted parts, with ends of lines in them. The last one of a name counts.
 */
export function readEnvironment(text: string, file: string): ReadonlyMap<string, Variable> {
  const found = new Map<string, Variable>()
  let state: 'name' | 'comment' | 'value' | 'plain' | '"' | "'" = 'name'
  let [name, value, at, end]: [string, string, number[], number] = ['', '', [], 0]
  /** Without blanks at the end of an unquoted part. */
  let length = 0
  const add = (char: string, index: number): void => {
    value += char
    at.push(index)
    if (state !== 'plain' || !/\s/.test(char)) length = value.length
    if (length === value.length) end = index + 1
  }
  const finish = (): void => {
    const kept = { text: value.slice(0, length), file, at: at.slice(0, length) }
    if (/^[A-Za-z_]\w*$/.test(name.trim())) found.set(name.trim(), { value: kept, end })
    name = ''
    value = ''
    at = []
    length = 0
    state = 'name'
  }
  for (let index = 0; index < text.length; index += 1) {
    const [char = '', next = ''] = text.slice(index, index + 2)
    const isEnd = char === '\n' || char === '\r'
    if (state === 'comment') {
      if (isEnd) state = 'name'
    } else if (state === 'name') {
      if (char === '=') {
        state = 'value'
        end = index + 1
      } else if (name === '' && /[#;]/.test(char)) state = 'comment'
      else name = isEnd ? '' : (name + char).trimStart()
    } else if (char === state) state = 'value'
    else if (state === "'" || (state === '"' && char !== '\\')) add(char, index)
    else if (state === '"') {
      index += 1
      if (next !== '\n' && !/["\\`$]/.test(next)) add(char, index - 1)
      if (next !== '\n' && next !== '') add(next, index)
    } else if (char === '\\') {
      index += 1
      state = 'plain'
      if (/[^\r\n]/.test(next)) add(next, index)
      length = value.length
    } else if (isEnd) finish()
    else if (state === 'value' && (char === '"' || char === "'")) {
      state = char
      if (value === '') end = index + 1
    } else if (state === 'plain' || !/\s/.test(char)) {
      state = 'plain'
      add(char, index)
    }
  }
  if (state !== 'name' && state !== 'comment') finish()
  return found
}

export function cut({ at, file, text }: Word, from: number, to?: number): Word {
  return { text: text.slice(from, to), file, at: at.slice(from, to) }
}

const C_ESCAPES: Readonly<Record<string, string>> = { s: ' ', n: '\n', t: '\t', r: '\r' }

/** What a backslash and a character stand for in a unit; undefined: for themselves. */
export function fromC(char: string): string | undefined {
  return C_ESCAPES[char] ?? (/["'\\]/.test(char) ? char : undefined)
}

/** Split at blanks outside of quotes. */
export function splitWords(
  { at, file, text }: Word,
  unescaped: (char: string) => string | undefined,
): readonly Word[] {
  const words: Word[] = []
  let word: { text: string; at: number[] } | undefined
  let quote = ''
  for (let index = 0; index < text.length; index += 1) {
    const char = text[index] ?? ''
    if (quote === '' && /\s/.test(char)) {
      if (word !== undefined) words.push({ ...word, file })
      word = undefined
      continue
    }
    word ??= { text: '', at: [] }
    if (char === quote) quote = ''
    else if (quote === '' && /["']/.test(char)) quote = char
    else {
      const next = text[index + 1]
      const escaped = char === '\\' && next !== undefined ? unescaped(next) : undefined
      if (escaped !== undefined) index += 1
      word.text += escaped ?? char
      word.at.push(at[index] ?? -1)
    }
  }
  return word === undefined ? words : [...words, { ...word, file }]
}
