import { posix } from 'node:path'
import type { Root } from './root.ts'

/** In the order of systemd.unit(5): the first one that has a unit counts. */
const UNIT_FOLDERS = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
] as const

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

/** What a service unit starts, with its drop-ins and the files of its environment. */
export interface ServiceUnit {
  /** The program and its arguments, variables put in. */
  readonly words: readonly Word[]
  /** The last `ExecStart=`, as it is written, on one line. */
  readonly command: Word
  /** The variables that are words of the command of their own: `$KUBELET_EXTRA_ARGS`. */
  readonly variables: readonly string[]
  readonly environment: ReadonlyMap<string, Variable>
  /** In the order of reading. */
  readonly environmentFiles: readonly string[]
}

/** @returns undefined where there is no such unit, or one that starts nothing */
export function readServiceUnit(root: Root, name: string): ServiceUnit | undefined {
  const file = UNIT_FOLDERS.map((folder) => `${folder}/${name}`).find((path) => root.exists(path))
  if (file === undefined) return undefined
  const dropIns = new Map<string, string>()
  for (const folder of [...UNIT_FOLDERS].reverse()) {
    for (const path of root.list(`${folder}/${name}.d`, '.conf')) {
      dropIns.set(posix.basename(path), path)
    }
  }
  const files = [file, ...[...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)]
  const settings = files.flatMap((path) => serviceSettings(root.text(path) ?? '', path))
  const command = valuesOf(settings, 'ExecStart').at(-1)
  if (command === undefined) return undefined
  const environment = new Map<string, Variable>()
  for (const value of valuesOf(settings, 'Environment')) {
    for (const word of splitWords(value, fromC)) {
      const [all = '', variable = ''] = /^(\w+)=/.exec(word.text) ?? []
      const end = (word.at.at(-1) ?? 0) + 1
      if (variable !== '') environment.set(variable, { value: cut(word, all.length), end })
    }
  }
  const environmentFiles = valuesOf(settings, 'EnvironmentFile').map(({ text }) =>
    text.replace(/^-/, ''),
  )
  for (const path of environmentFiles) {
    for (const [variable, value] of readEnvironment(root.text(path) ?? '', path)) {
      environment.set(variable, value)
    }
  }
  const written = splitWords(command, fromC)
  return {
    words: written.flatMap((word) => expanded(word, environment)),
    command,
    variables: written.flatMap(({ text }) => wholeVariable(text) ?? []),
    environment,
    environmentFiles,
  }
}

/** An empty one takes back those before it. */
function valuesOf(
  settings: readonly (readonly [key: string, value: Word])[],
  key: string,
): readonly Word[] {
  const all = settings.flatMap(([each, value]) => (each === key ? [value] : []))
  return all.slice(all.findLastIndex(({ text }) => text === '') + 1)
}

function serviceSettings(text: string, file: string): (readonly [key: string, value: Word])[] {
  let section = ''
  return logicalLines(text, file).flatMap((line) => {
    const [, name] = /^\s*\[(.*)\]\s*$/.exec(line.text) ?? []
    if (name !== undefined) section = name
    const [head = '', key] = /^\s*(\w+)\s*=\s*/.exec(line.text) ?? []
    const value = cut(line, head.length, line.text.trimEnd().length)
    return section === 'Service' && key !== undefined ? [[key, value] as const] : []
  })
}

/** Without comments, and with lines that end in a backslash put together (systemd.syntax(7)). */
function logicalLines(text: string, file: string): readonly Word[] {
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

function cut({ at, file, text }: Word, from: number, to?: number): Word {
  return { text: text.slice(from, to), file, at: at.slice(from, to) }
}

const C_ESCAPES: Readonly<Record<string, string>> = { s: ' ', n: '\n', t: '\t', r: '\r' }

/** What a backslash and a character stand for in a unit; undefined: for themselves. */
function fromC(char: string): string | undefined {
  return C_ESCAPES[char] ?? (/["'\\]/.test(char) ? char : undefined)
}

/** Split at blanks outside of quotes. */
function splitWords(
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

function wholeVariable(word: string): string | undefined {
  return /^\$(\w+)$/.exec(word)?.[1]
}

/** `$NAME` alone becomes as many words as its value has; `${NAME}` is put in where it stands. */
function expanded(word: Word, environment: ReadonlyMap<string, Variable>): readonly Word[] {
  const whole = wholeVariable(word.text)
  if (whole !== undefined) {
    const variable = environment.get(whole)
    return variable === undefined ? [] : splitWords(variable.value, (char) => char)
  }
  const put = [...word.text.matchAll(/\$\{(\w+)\}/g)]
  if (put.length === 0) return [word]
  const file = put.map(([, name = '']) => environment.get(name)?.value.file).at(-1) ?? word.file
  let [text, done]: [string, number] = ['', 0]
  const at: number[] = []
  const add = (part: Word): void => {
    text += part.text
    at.push(...part.at.map((offset) => (part.file === file ? offset : -1)))
  }
  for (const { 0: all, 1: name = '', index } of put) {
    add(cut(word, done, index))
    const variable = environment.get(name)
    if (variable !== undefined) add(variable.value)
    done = index + all.length
  }
  add(cut(word, done))
  return [{ text, file, at }]
}
