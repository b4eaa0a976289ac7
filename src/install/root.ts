import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'

const MAX_LINKS = 40
/** No file of a kubelet or of systemd is near that. */
const MAX_BYTES = 1024 * 1024

export interface TextFile {
  readonly path: string
  readonly text: string
  /** Of a new one, if it is not to be that of any. */
  readonly mode?: number
}

/** A file as it is to be; without text it is to go. */
export interface PlannedFile extends Omit<TextFile, 'text'> {
  readonly text: string | undefined
}

/** The file system of a node: `/`, or a folder where that of another machine is mounted or made. */
export class Root {
  /** An absolute path without a slash at its end; '' for `/`. */
  readonly base: string
  /** Files that are read as if they had been written, by path without links. */
  readonly #planned: ReadonlyMap<string, PlannedFile>

  constructor(folder: string, planned: ReadonlyMap<string, PlannedFile> = new Map()) {
    this.base = posix.resolve(folder).replace(/\/$/, '')
    this.#planned = planned
  }

  /** The same, as it will be when files are written, or gone. */
  with(...files: readonly PlannedFile[]): Root {
    const more = files.map((file) => [this.real(file.path), file] as const)
    return new Root(this.base || '/', new Map([...this.#planned, ...more]))
  }

  get planned(): readonly PlannedFile[] {
    return [...this.#planned.values()]
  }

  get isThisMachine(): boolean {
    return this.base === ''
  }

  /**
   * Follows links as that machine would: `/var/run` of a root at `/host` is `/host/run`, not our `/run`.
   *
   * @returns the path on that machine, without links in it
   * @throws ResolveError CONFIG_INVALID for links that never end
   */
  real(path: string, followLast = true): string {
    let rest = parts(path)
    let at: string[] = []
    let links = 0
    while (rest.length > 0) {
      const [part = '', ...more] = rest
      rest = more
      if (part === '..') at.pop()
      else {
        const isLast = rest.length === 0
        const here = `${this.base}/${[...at, part].join('/')}`
        const target = isLast && !followLast ? undefined : linkTarget(here)
        if (target === undefined) at.push(part)
        else {
          links += 1
          if (links > MAX_LINKS) throw new ResolveError('CONFIG_INVALID', `${path}: too many links`)
          if (target.startsWith('/')) at = []
          rest = [...parts(target), ...rest]
        }
      }
    }
    return `/${at.join('/')}`
  }

  /** A path of that machine, as this process reaches it. */
  outside(path: string, followLast = true): string {
    return `${this.base}${this.real(path, followLast)}`
  }

  /**
   * As outside(), of a path that had no links in it.
   *
   * @throws ResolveError DENIED where one above it leads elsewhere now than on that machine: out of the root
   */
  inside(path: string): string {
    const at = `${this.base}${path}`
    if (path === '/') return at
    const folder = posix.dirname(path)
    const here = realFolder(posix.dirname(at))
    if (here === realFolder(this.outside(folder))) return at
    const what = `a link in ${folder} leads out of ${this.base}, to ${here}`
    throw new ResolveError('DENIED', `${path}: ${what}; it is left alone`)
  }

  exists(path: string): boolean {
    const real = this.real(path)
    const planned = this.#planned.get(real)
    if (planned !== undefined) return planned.text !== undefined
    return lstatSync(`${this.base}${real}`, { throwIfNoEntry: false }) !== undefined
  }

  isFolder(path: string): boolean {
    return lstatSync(this.outside(path), { throwIfNoEntry: false })?.isDirectory() === true
  }

  isSocket(path: string): boolean {
    return lstatSync(this.outside(path), { throwIfNoEntry: false })?.isSocket() === true
  }

  /**
   * @returns undefined where there is no such file
   * @throws ResolveError CONFIG_INVALID for what is no text file of at most 1 MiB
   */
  text(path: string): string | undefined {
    const real = this.real(path)
    const planned = this.#planned.get(real)
    if (planned !== undefined) return planned.text
    const file = `${this.base}${real}`
    const stats = lstatSync(file, { throwIfNoEntry: false })
    // A masked unit is a link to /dev/null.
    if (stats === undefined || stats.isCharacterDevice()) return undefined
    if (!stats.isFile()) throw new ResolveError('CONFIG_INVALID', `${path} is no file`)
    if (stats.size > MAX_BYTES) {
      throw new ResolveError('CONFIG_INVALID', `${path} is larger than 1 MiB`)
    }
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(file))
    } catch (thrown) {
      throw unreadable(path, thrown)
    }
  }

  /**
   * Paths of what a folder holds with such an end, by name; none where it is not there.
   *
   * @throws what the file system says of a folder that is there
   */
  list(folder: string, ...ends: readonly string[]): readonly string[] {
    const real = this.real(folder)
    const names = new Set(namesIn(`${this.base}${real}`))
    for (const [path, { text }] of this.#planned) {
      if (posix.dirname(path) !== real) continue
      if (text === undefined) names.delete(posix.basename(path))
      else names.add(posix.basename(path))
    }
    return [...names]
      .filter((name) => ends.some((end) => name.endsWith(end)))
      .sort()
      .map((name) => posix.join(folder, name))
  }
}

function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch (thrown) {
    if (isMissing(thrown)) return []
    throw thrown
  }
}

/** ESRCH: of a process that has ended. */
const MISSING: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR', 'ESRCH']

/** Whether it says that there is nothing at a path. */
export function isMissing(thrown: unknown): boolean {
  return MISSING.includes((thrown as NodeJS.ErrnoException).code)
}

function unreadable(path: string, cause: unknown): ResolveError {
  return new ResolveError('CONFIG_INVALID', `${path} cannot be read as UTF-8 text`, { cause })
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}

/** @returns undefined where it is not there */
function realFolder(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** readlink alone throws for all that is no link, which is nearly everything: hundreds of errors an installation. */
function linkTarget(path: string): string | undefined {
  try {
    const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
    return isLink ? readlinkSync(path) : undefined
  } catch {
    return undefined
  }
}
