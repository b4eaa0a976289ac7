import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'

const MAX_LINKS = 40

/** No file of a kubelet or of systemd is near that. */
const MAX_BYTES = 1024 * 1024

/** What is at a name: where it leads, if it is a link. */
interface Found {
  readonly target: string | undefined
}

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
  /** What was found at each name; undefined: it is looked for each time. */
  #found: Map<string, Found | undefined> | undefined

  constructor(folder: string, planned: ReadonlyMap<string, PlannedFile> = new Map()) {
    this.base = posix.resolve(folder).replace(/\/$/, '')
    this.#planned = planned
  }

  /** Does what only reads, in one go: each name is looked for once. */
  still<T>(read: () => T): T {
    if (this.#found !== undefined) return read()
    this.#found = new Map()
    try {
      return read()
    } finally {
      this.#found = undefined
    }
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
    // How deep the first name is that is not there: most units and drop-ins are in none of their folders.
    let missingAt = Number.POSITIVE_INFINITY
    while (rest.length > 0) {
      const [part = '', ...more] = rest
      rest = more
      if (part === '..') at.pop()
      else {
        const isLast = rest.length === 0
        const isMissing = at.length > missingAt
        const found =
          isLast && !followLast ? undefined : this.#find([...at, part].join('/'), isMissing)
        if (!isMissing) missingAt = found === undefined ? at.length : Number.POSITIVE_INFINITY
        const target = found?.target
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

  /** @param isMissing nothing is there, as is known of a folder above it */
  #find(path: string, isMissing: boolean): Found | undefined {
    if (this.#found?.has(path)) return this.#found.get(path)
    const found = isMissing ? undefined : lookFor(`${this.base}/${path}`)
    this.#found?.set(path, found)
    return found
  }

  /** @param real a path without links. @returns whether it is known that nothing is there */
  #isMissing(real: string): boolean {
    const path = real.slice(1)
    return this.#found?.has(path) === true && this.#found.get(path) === undefined
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
    if (this.#isMissing(real)) return false
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
    const names = new Set(this.#isMissing(real) ? [] : namesIn(`${this.base}${real}`))
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

/**
 * readlink alone throws for all that is no link, which is nearly everything: hundreds of errors an installation.
 *
 * @returns undefined where nothing is there
 */
function lookFor(path: string): Found | undefined {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false })
    return stats && { target: stats.isSymbolicLink() ? readlinkSync(path) : undefined }
  } catch {
    return { target: undefined }
  }
}
