import { posix } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { type Fields, isFields } from '../json.ts'

interface ParsedToml {
  /** Empty where it is no TOML. */
  readonly root: Fields
  readonly mistake?: { readonly line: number; readonly reason: string }
}

/** A TOML file of another program. */
export interface TomlFile extends ParsedToml {
  readonly path: string
  readonly text: string
}

const MAX_DEPTH = 32
/** Of another program's file, which is mostly written by hand. */
const MAX_CHARACTERS = 256 * 1024
/** That one pattern means, or one list of imports. */
export const MAX_FILES = 64

/** @returns undefined: there is no such file. Rejects when it is there and cannot be read */
export async function readTomlFile(
  path: string,
  files: { read(file: string): Promise<string | undefined> },
): Promise<TomlFile | undefined> {
  const text = await files.read(path)
  if (text === undefined) return undefined
  if (text.length > MAX_CHARACTERS) throw new Error(`${path} is larger than 256 KiB`)
  return { path, text, ...parseToml(text, MAX_DEPTH) }
}

/** The files that a path with `*` in its last part means, by name. */
export async function matching(
  pattern: string,
  files: { list(folder: string): Promise<readonly string[] | undefined> },
): Promise<readonly string[]> {
  const { dir, base } = posix.parse(pattern)
  if (!base.includes('*')) return [pattern]
  const [start = '', end = ''] = base.split('*')
  const names = (await files.list(dir)) ?? []
  return names
    .filter((name) => name.startsWith(start) && name.endsWith(end))
    .sort()
    .slice(0, MAX_FILES)
    .map((name) => posix.join(dir, name))
}

const NAME = /(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*/.source

/** @param maxDepth of tables and lists in each other; a short line may otherwise mean millions of objects */
export function parseToml(text: string, maxDepth: number): ParsedToml {
  const deep = new RegExp(`(?:^|[[{,])[ \\t]*(?:${NAME}){${maxDepth}}`, 'm').exec(text)
  if (deep !== null) {
    const line = text.slice(0, deep.index).split('\n').length
    return { root: {}, mistake: { line, reason: `a name of more than ${maxDepth} parts` } }
  }
  try {
    return { root: parse(text, { maxDepth }) }
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown
    // After the first line comes a piece of the file, which may be a piece of a secret.
    const reason = thrown.message.replace(/^Invalid TOML document: |\n.*$/gs, '')
    return { root: {}, mistake: { line: thrown.line, reason } }
  }
}

/** The table at a path; empty where there is none. */
export function tableAt(table: Fields, ...path: readonly string[]): Fields {
  return path.reduce<Fields>((found, key) => {
    const value = Object.hasOwn(found, key) ? found[key] : undefined
    return isFields(value) ? value : {}
  }, table)
}

const HEADER = /^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$/
const KEY = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/
const PART = /"([^"]*)"|'([^']*)'|([\w-]+)/g

/**
 * Where a field stands, since the parser does not say: the line of its name, else that of the innermost table
 * around it. Of a list of tables (`[[registry]]`) a number in the path says which.
 *
 * @returns from 1
 */
export function lineOf(text: string, path: readonly (string | number)[]): number {
  const wanted = path.map(String)
  const counts = new Map<string, number>()
  let table: readonly string[] = []
  let best = { line: 1, depth: 0 }
  for (const [index, line] of text.split('\n').entries()) {
    const [, brackets, header] = HEADER.exec(line) ?? []
    let found: readonly string[] = table
    if (header !== undefined) {
      table = found = tableNamed(partsOf(header), brackets === '[[', counts)
    } else {
      const [, key] = KEY.exec(line) ?? []
      if (key === undefined) continue
      found = [...table, ...partsOf(key)]
    }
    const depth = found.findIndex((part, at) => part !== wanted[at])
    const shared = depth < 0 ? Math.min(found.length, wanted.length) : depth
    // A table that only begins like the path holds it; a key has to be on the way to it.
    if (shared > best.depth && (depth < 0 || header !== undefined)) {
      best = { line: index + 1, depth: shared }
    }
    if (best.depth === wanted.length) break
  }
  return best.line
}

function partsOf(name: string): readonly string[] {
  return [...name.matchAll(PART)].map(([, double, single, bare]) => double ?? single ?? bare ?? '')
}

/** `[[registry]]` for the second time is `registry.1`, and `[registry.x]` after it is below that. */
function tableNamed(
  parts: readonly string[],
  isList: boolean,
  counts: Map<string, number>,
): readonly string[] {
  const path: string[] = []
  for (const [index, part] of parts.entries()) {
    path.push(part)
    const key = JSON.stringify(path)
    const isNew = isList && index === parts.length - 1
    const count = counts.get(key) ?? -1
    if (isNew) counts.set(key, count + 1)
    if (isNew || count >= 0) path.push(String(isNew ? count + 1 : count))
  }
  return path
}
