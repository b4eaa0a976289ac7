import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import type { Root } from './root.ts'
import { specified } from './specifiers.ts'
import {
  cut,
  fromC,
  logicalLines,
  readEnvironment,
  splitWords,
  type Variable,
  type Word,
} from './unit-syntax.ts'

/** In the order of systemd.unit(5): the first one that has a unit counts. */
const UNIT_FOLDERS = [
  '/etc/systemd/system.control',
  '/run/systemd/system.control',
  '/run/systemd/transient',
  '/run/systemd/generator.early',
  '/etc/systemd/system',
  '/etc/systemd/system.attached',
  '/run/systemd/system',
  '/run/systemd/system.attached',
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/generator.late',
] as const

/** A line of a file. */
export interface Line {
  readonly file: string
  /** From 1. */
  readonly line: number
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
  /** `WorkingDirectory=`, with `~` written out; undefined: `/`. */
  readonly folder: Word | undefined
  /** `RootDirectory=` or `RootImage=`, in which the program has its files. */
  readonly ownRoot: Word | undefined
}

/**
 * @returns undefined where there is no such unit, or one that starts nothing
 * @throws ResolveError CONFIG_INVALID for one that starts several programs, and for files of an environment that
 * cannot be told
 */
export function readServiceUnit(root: Root, name: string): ServiceUnit | undefined {
  const file = UNIT_FOLDERS.map((folder) => `${folder}/${name}`).find((path) => root.exists(path))
  // An empty one is masked, whatever its drop-ins say.
  if (file === undefined || !root.text(file)) return undefined
  const dropIns = new Map<string, string>()
  for (const folder of dropInFolders(name).reverse()) {
    for (const path of root.list(folder, '.conf')) dropIns.set(posix.basename(path), path)
  }
  const files = [file, ...[...dropIns].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path)]
  const settings = files.flatMap((path) => serviceSettings(root.text(path) ?? '', path))
  const commands = valuesOf(settings, 'ExecStart')
  const command = commands.at(-1)
  if (command === undefined) return undefined
  const written = splitWords(command, fromC)
  if (commands.length > 1 || written.some((word) => isSeparator(word, command))) {
    const what = 'several commands are started, and which of them is kubelet is not known here'
    throw byHand(root, command, what, `have one ExecStart= in ${name}`)
  }
  const environment = new Map<string, Variable>()
  for (const value of valuesOf(settings, 'Environment')) {
    for (const word of splitWords(value, fromC)) {
      const [all = '', variable = ''] = /^(\w+)=/.exec(word.text) ?? []
      const end = (word.at.at(-1) ?? 0) + 1
      const value = specified(cut(word, all.length), name)
      if (variable !== '') environment.set(variable, { value, end })
    }
  }
  const environmentFiles = valuesOf(settings, 'EnvironmentFile').map((written) => {
    const word = specified(written, name)
    checkKnown(root, word, /[%*?[]/)
    return word.text.replace(/^-/, '')
  })
  for (const path of environmentFiles) {
    for (const [variable, value] of readEnvironment(root.text(path) ?? '', path)) {
      environment.set(variable, value)
    }
  }
  return {
    words: written.flatMap((word) => expanded(specified(word, name), environment)),
    command,
    variables: written.flatMap(({ text }) => wholeVariable(text) ?? []),
    environment,
    environmentFiles,
    folder: workingDirectory(settings, name),
    ownRoot: ['RootDirectory', 'RootImage']
      .flatMap((key) => valuesOf(settings, key).slice(-1))
      .find(({ text }) => text !== '/'),
  }
}

/** The one that counts more first: of a name all before those of its prefixes, and `service.d` behind all of them. */
function dropInFolders(name: string): string[] {
  const prefixes = [...name.matchAll(/-(?=[^-.])/g)].map(({ index }) => name.slice(0, index + 1))
  const names = [name, ...prefixes.reverse().map((prefix) => `${prefix}.service`)]
  const own = UNIT_FOLDERS.flatMap((folder) => names.map((each) => `${folder}/${each}.d`))
  return [...own, ...UNIT_FOLDERS.map((folder) => `${folder}/service.d`)]
}

function workingDirectory(settings: Settings, unit: string): Word | undefined {
  const [written] = valuesOf(settings, 'WorkingDirectory').slice(-1)
  const user = valuesOf(settings, 'User').at(-1)?.text ?? 'root'
  const word = written && specified(written, unit)
  const isHome = /^-?~$/.test(word?.text ?? '') && /^(?:root|0)$/.test(user)
  return word && isHome ? { ...word, text: '/root' } : word
}

/**
 * A path as the program of a unit takes it: a relative one is below its `WorkingDirectory=`.
 *
 * @throws ResolveError CONFIG_INVALID where that folder is not known
 */
export function absolutePath(root: Root, { folder }: ServiceUnit, path: string): string {
  if (posix.isAbsolute(path) || folder === undefined) return posix.resolve('/', path)
  checkKnown(root, folder, /%|^-?~/)
  const known = folder.text.replace(/^-/, '')
  // Where it is not there, systemd starts the program in `/` for all that.
  const isOptional = known !== folder.text
  return posix.resolve(isOptional && !root.isFolder(known) ? '/' : known, path)
}

/** Folders with links to the units that systemd starts with the machine. */
export function wantsFolders(root: Root): readonly string[] {
  return UNIT_FOLDERS.flatMap((folder) => root.list(folder, '.wants', '.requires'))
}

type Settings = readonly (readonly [key: string, value: Word])[]

/** An empty one takes back those before it. */
function valuesOf(settings: Settings, key: string): readonly Word[] {
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

/** A semicolon without quotes divides commands. */
function isSeparator({ at: [at = -1], text }: Word, command: Word): boolean {
  return text === ';' && !/["']/.test(command.text[command.at.indexOf(at) - 1] ?? '')
}

/**
 * That a path or an endpoint is known as systemd has it.
 *
 * @throws ResolveError CONFIG_INVALID with the line, for one with a specifier that depends on the machine
 */
export function checkKnown(root: Root, word: Word, unknown = /%/): void {
  if (!unknown.test(word.text)) return
  throw byHand(root, word, `${word.text} is not known here as systemd has it`, 'write it out')
}

export function byHand(root: Root, { at, file }: Word, what: string, how: string): ResolveError {
  const { line } = lineAt(root, file, at[0])
  return new ResolveError('CONFIG_INVALID', `${file}:${line}: ${what}; ${how} by hand`)
}

export function lineAt(root: Root, file: string, offset = 0): Line {
  return { file, line: (root.text(file) ?? '').slice(0, Math.max(offset, 0)).split('\n').length }
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
