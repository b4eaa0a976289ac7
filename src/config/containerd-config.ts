import { posix } from 'node:path'
import type { Fields } from '../json.ts'
import type { HostsFiles } from './sources/hosts-dir.ts'
import { lineOf, MAX_FILES, matching, readTomlFile, type TomlFile, tableAt } from './toml.ts'

/** The plugins of CRI that know registries, in config.toml's version 3, 2 and 1. */
export const CRI_PLUGINS = ['io.containerd.cri.v1.images', 'io.containerd.grpc.v1.cri', 'cri']

/** A value with the place where it is written. */
export interface Written<T> {
  readonly value: T
  readonly file: string
  readonly line: number
}

/** A config.toml with what it imports. */
export interface ContainerdConfig {
  /** In the order of reading, the main one first; none where that is not there. */
  readonly files: readonly TomlFile[]
  /** Files that are imported by name, and are not there. */
  readonly missing: readonly Written<string>[]
  /** 1 where none is written. */
  readonly version: number
  readonly configPath: Written<string> | undefined
  readonly mirrors: Written<Fields> | undefined
}

/** @throws what `files` reject with */
export async function readContainerdConfig(
  file: string,
  files: HostsFiles,
): Promise<ContainerdConfig> {
  const main = await readTomlFile(file, files)
  const folder = posix.dirname(file)
  const { imports = [posix.join(folder, 'conf.d/*.toml')] } = main?.root ?? {}
  const names = Array.isArray(imports) ? imports.filter((each) => typeof each === 'string') : []
  const imported: TomlFile[] = []
  const missing: Written<string>[] = []
  for (const name of names.slice(0, MAX_FILES)) {
    for (const path of await matching(posix.resolve(folder, name), files)) {
      const found = await readTomlFile(path, files)
      if (found !== undefined) imported.push(found)
      else if (main !== undefined) {
        missing.push({ value: path, file, line: lineOf(main.text, ['imports']) })
      }
    }
  }
  const read = main === undefined ? imported : [main, ...imported]
  const { version } = main?.root ?? {}
  return {
    files: read,
    missing,
    version: typeof version === 'number' ? version : 1,
    configPath: lastWritten(read, 'registry', 'config_path', isText),
    mirrors: mirrorsOf(read),
  }
}

/**
 * What the CRI plugin's table says, whichever version it is of; later files win.
 *
 * @param table in the plugin's table, with dots
 */
export function lastWritten<T>(
  read: readonly TomlFile[],
  table: string,
  key: string,
  is: (value: unknown) => value is T,
  plugins: readonly string[] = CRI_PLUGINS,
): Written<T> | undefined {
  const found = read.flatMap(({ path, root, text }) =>
    plugins.flatMap((plugin) => {
      const place = ['plugins', plugin, ...table.split('.').filter((each) => each !== '')]
      const value = tableAt(root, ...place)[key]
      return is(value) ? [{ value, file: path, line: lineOf(text, [...place, key]) }] : []
    }),
  )
  return found.at(-1)
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function mirrorsOf(read: readonly TomlFile[]): Written<Fields> | undefined {
  const tables = read.flatMap(({ path, root, text }) =>
    CRI_PLUGINS.flatMap((plugin) => {
      const place = ['plugins', plugin, 'registry', 'mirrors']
      const value = tableAt(root, ...place)
      return Object.keys(value).length === 0
        ? []
        : [{ value, file: path, line: lineOf(text, place) }]
    }),
  )
  const [first] = tables
  if (first === undefined) return undefined
  return { ...first, value: Object.assign({}, ...tables.map(({ value }) => value)) }
}
