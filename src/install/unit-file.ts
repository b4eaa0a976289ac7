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

/** One argument of a program, and the file that it is written in. */
export interface Word {
  readonly text: string
  readonly file: string
}

/** What a service unit starts, with its drop-ins and the files of its environment. */
export interface ServiceUnit {
  /** The program and its arguments, variables put in. */
  readonly words: readonly Word[]
  /** The last `ExecStart=`, as it is written, on one line. */
  readonly command: string
  /** Where that is written. */
  readonly commandFile: string
  /** The variables that are words of the command of their own: `$KUBELET_EXTRA_ARGS`. */
  readonly variables: readonly string[]
  /** In the order of reading. */
  readonly environmentFiles: readonly string[]
}

interface Line {
  readonly key: string
  readonly value: string
  readonly file: string
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
  const lines = files.flatMap((path) => serviceLines(root.text(path) ?? '', path))
  const command = settingsOf(lines, 'ExecStart').at(-1)
  if (command === undefined) return undefined
  const environment = new Map<string, Word>()
  for (const { value, file: source } of settingsOf(lines, 'Environment')) {
    for (const word of splitWords(value)) assign(environment, word, source)
  }
  const environmentFiles = settingsOf(lines, 'EnvironmentFile').map(({ value }) =>
    value.replace(/^-/, ''),
  )
  for (const path of environmentFiles) {
    for (const line of logicalLines(root.text(path) ?? '')) {
      assign(environment, unquoted(line), path)
    }
  }
  const written = splitWords(command.value)
  return {
    words: written.flatMap((word) => expanded(word, command.file, environment)),
    command: command.value,
    commandFile: command.file,
    variables: written.flatMap((word) => wholeVariable(word) ?? []),
    environmentFiles,
  }
}

/** An empty one takes back those before it. */
function settingsOf(lines: readonly Line[], key: string): readonly Line[] {
  const all = lines.filter((line) => line.key === key)
  return all.slice(all.findLastIndex(({ value }) => value === '') + 1)
}

function serviceLines(text: string, file: string): readonly Line[] {
  let section = ''
  return logicalLines(text).flatMap((line) => {
    const [, name] = /^\[(.*)\]$/.exec(line) ?? []
    if (name !== undefined) section = name
    const [, key, value = ''] = /^(\w+)\s*=\s*(.*)$/.exec(line) ?? []
    return section === 'Service' && key !== undefined ? [{ key, value, file }] : []
  })
}

/** Without comments, and with lines that end in a backslash put together. */
function logicalLines(text: string): readonly string[] {
  const lines: string[] = []
  let before = ''
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*[#;]/.test(line)) continue
    if (line.endsWith('\\')) before += `${line.slice(0, -1).trim()} `
    else {
      lines.push((before + line.trim()).trim())
      before = ''
    }
  }
  return [...lines, before.trim()].filter((line) => line !== '')
}

function assign(environment: Map<string, Word>, assignment: string, file: string): void {
  const [, name, text = ''] = /^(\w+)=(.*)$/s.exec(assignment) ?? []
  if (name !== undefined) environment.set(name, { text, file })
}

/** `NAME="value"` of an environment file, without its quotes. */
function unquoted(line: string): string {
  return line.replace(/^(\w+)\s*=\s*(["'])(.*)\2$/s, '$1=$3')
}

/** Split at blanks outside of quotes. */
function splitWords(text: string): readonly string[] {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/(["'])(.*?)\1/gs, '$2'),
  )
}

function wholeVariable(word: string): string | undefined {
  return /^\$(\w+)$/.exec(word)?.[1]
}

/** `$NAME` alone becomes as many words as its value has; `${NAME}` is put in where it stands. */
function expanded(
  word: string,
  file: string,
  environment: ReadonlyMap<string, Word>,
): readonly Word[] {
  const whole = wholeVariable(word)
  if (whole !== undefined) {
    const value = environment.get(whole)
    if (value === undefined) return []
    return splitWords(value.text).map((text) => ({ text, file: value.file }))
  }
  let source = file
  const text = word.replace(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = environment.get(name)
    if (value !== undefined) source = value.file
    return value?.text ?? ''
  })
  return [{ text, file: source }]
}
