import { open, readdir, stat, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import { posix } from 'node:path'
import { ConfigError } from '../config/diagnostics.ts'
import { readConfigFile } from '../config/files.ts'
import { diskHostsFiles, type HostsFiles } from '../config/sources/hosts-dir.ts'
import { ResolveError } from '../errors.ts'
import { isMissing, Root } from '../install/root.ts'

/** Whether a unix socket is listened at; `stale`: its file is there, and nothing listens. */
export type SocketState = 'served' | 'stale' | 'absent' | 'unknown'

export interface Process {
  readonly pid: number
  readonly name: string
  /** The first is the program. */
  readonly args: readonly string[]
}

export interface Space {
  /** Of 1, what is left for those without root's reserve. */
  readonly free: number
  readonly freeBytes: number
  /** Of 1; 1 where the file system has no limit. */
  readonly freeInodes: number
}

export interface Unseen {
  readonly why: string
  /** This process has no right to it: that says nothing of the service, which runs as root. */
  readonly isDenied: boolean
}

/** What is looked at of this machine, or of the tree below `root`. What cannot be is among `unseen`. */
export interface Machine {
  readonly root: Root
  /** Rejects only for what is there and cannot be read: no text file of at most 1 MiB, or more than 32 MiB in all. */
  readonly files: HostsFiles
  /** What could not be looked at, by path. */
  readonly unseen: ReadonlyMap<string, Unseen>
  /** Whether that failure is among `unseen`. */
  isNoted(thrown: unknown): boolean
  /**
   * Where a path of the machine is for this process.
   *
   * @throws ResolveError CONFIG_INVALID for links that never end
   */
  path(path: string): string
  /** undefined: not there, or not to be seen. */
  mode(path: string): Promise<number | undefined>
  socket(path: string): Promise<SocketState>
  space(path: string): Promise<Space | undefined>
  processes(): Promise<readonly Process[]>
}

const CONNECT_LIMIT_MS = 2_000
const MAX_PROCESSES = 50_000
const MAX_COMMAND_BYTES = 16 * 1024
const MAX_FILE_BYTES = 1024 * 1024
const MAX_READ_BYTES = 32 * MAX_FILE_BYTES
const STALE: readonly (string | undefined)[] = ['ECONNREFUSED']
const ABSENT: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR']
const REFUSED: readonly unknown[] = ['EACCES', 'EPERM']

export function machineAt(folder: string): Machine {
  const unseen = new Map<string, Unseen>()
  const noted = new WeakSet<object>()
  const note = (path: string, thrown: unknown): void => {
    if (!(thrown instanceof Error) || isMissing(thrown)) return
    unseen.set(path, { why: whyUnseen(path, thrown), isDenied: isDenied(thrown) })
    noted.add(thrown)
  }
  let readBytes = 0
  const take = (bytes: number): void => {
    readBytes += bytes
    if (readBytes > MAX_READ_BYTES) throw new Error('32 MiB of other files were read already')
  }
  const seen = async <T>(path: string, look: (there: string) => Promise<T>): Promise<T> => {
    try {
      return await look(root.outside(path))
    } catch (thrown) {
      note(path, thrown)
      throw thrown
    }
  }
  const root = new SeenRoot(folder, note, take)
  const disk = diskHostsFiles(async (file) => {
    const stats = await stat(file)
    // Reading a pipe or a terminal would wait for its writer.
    if (!stats.isFile()) throw new Error('not a regular file')
    take(Math.min(stats.size, MAX_FILE_BYTES))
    return readConfigFile(file)
  })
  const texts = new Map<string, Promise<string | undefined>>()
  const read = (path: string): Promise<string | undefined> => {
    const text = texts.get(path) ?? seen(path, (there) => disk.read(there))
    texts.set(path, text)
    return text
  }
  const nothing = (): undefined => undefined
  return {
    root,
    unseen,
    isNoted: (thrown) => typeof thrown === 'object' && thrown !== null && noted.has(thrown),
    files: { list: (path) => seen(path, (there) => disk.list(there)), read },
    path: (path) => root.outside(path),
    mode: (path) => seen(path, async (there) => (await stat(there)).mode).catch(nothing),
    socket: (path) => seen(path, socketState).catch(() => 'unknown'),
    space: (path) => seen(path, (there) => spaceAt(there, root.outside('/'))).catch(nothing),
    processes: () => processesBelow('/proc', seen),
  }
}

/** What cannot be looked at is noted; where it only matters whether it is there, it is not. */
class SeenRoot extends Root {
  readonly #note: (path: string, thrown: unknown) => void
  readonly #take: (bytes: number) => void

  constructor(
    folder: string,
    note: (path: string, thrown: unknown) => void,
    take: (bytes: number) => void,
  ) {
    super(folder)
    this.#note = note
    this.#take = take
  }

  override exists(path: string): boolean {
    return this.#isThere(path, () => super.exists(path))
  }

  override isSocket(path: string): boolean {
    return this.#isThere(path, () => super.isSocket(path))
  }

  override text(path: string): string | undefined {
    return this.#noted(path, () => {
      const text = super.text(path)
      this.#take(text?.length ?? 0)
      return text
    })
  }

  override list(folder: string, ...ends: readonly string[]): readonly string[] {
    return this.#noted(folder, () => super.list(folder, ...ends))
  }

  #isThere(path: string, look: () => boolean): boolean {
    try {
      return this.#noted(path, look)
    } catch {
      return false
    }
  }

  #noted<T>(path: string, look: () => T): T {
    try {
      return look()
    } catch (thrown) {
      this.#note(path, thrown)
      throw thrown
    }
  }
}

/** Of a failure to look at a path: what the system says, or one of these modules. */
function whyUnseen(path: string, thrown: unknown): string {
  if (isDenied(thrown)) {
    return process.geteuid?.() === 0 ? 'permission denied' : 'permission denied; run as root'
  }
  if (thrown instanceof ConfigError) return thrown.problems[0]?.message ?? 'cannot be read'
  const { code, message } = thrown as NodeJS.ErrnoException
  if (thrown instanceof ResolveError)
    return message.replace(`${path}: `, '').replace(`${path} `, '')
  return code === 'ELOOP' ? 'too many links' : (code ?? message)
}

/** Whether this process has no right to what it asked for. */
export function isDenied(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  return ('code' in thrown && REFUSED.includes(thrown.code)) || isDenied(thrown.cause)
}

function socketState(path: string): Promise<SocketState> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, timeout: CONNECT_LIMIT_MS })
    const end = (state: SocketState): void => {
      socket.destroy()
      resolve(state)
    }
    socket.once('connect', () => end('served'))
    // A backlog that is full is of a server, which may be busy.
    socket.once('timeout', () => end('unknown'))
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (isDenied(error)) reject(error)
      end(STALE.includes(error.code) ? 'stale' : ABSENT.includes(error.code) ? 'absent' : 'unknown')
    })
  })
}

/** Of the file system that `path` is on, or would be made on. */
async function spaceAt(path: string, root: string): Promise<Space | undefined> {
  for (let at = path; ; at = posix.dirname(at)) {
    const found = await statfs(at).catch(() => undefined)
    if (found !== undefined) {
      const { bavail, blocks, bsize, ffree, files } = found
      return {
        free: blocks === 0 ? 1 : bavail / blocks,
        freeBytes: bavail * bsize,
        freeInodes: files === 0 ? 1 : ffree / files,
      }
    }
    if (at === root || at === '/') return undefined
  }
}

async function processesBelow(
  proc: string,
  seen: <T>(path: string, look: (there: string) => Promise<T>) => Promise<T>,
): Promise<readonly Process[]> {
  const names = await seen(proc, (there) => readdir(there)).catch(() => [])
  const pids = names.filter((name) => /^\d+$/.test(name)).slice(0, MAX_PROCESSES)
  const found: Process[] = []
  const bytes = Buffer.alloc(MAX_COMMAND_BYTES)
  // One after the other: each takes a descriptor, and some have few left.
  for (const pid of pids) {
    const path = posix.join(proc, pid, 'cmdline')
    // A process may have ended meanwhile.
    const line = await seen(path, (there) => firstBytes(there, bytes)).catch(() => '')
    if (line === '') continue
    const args = line.split('\0').filter((arg) => arg !== '')
    found.push({ pid: Number(pid), name: posix.basename(args[0] ?? ''), args })
  }
  return found
}

async function firstBytes(path: string, into: Buffer): Promise<string> {
  if (!(await stat(path)).isFile()) throw new Error('not a regular file')
  const file = await open(path)
  try {
    const { bytesRead } = await file.read(into)
    return into.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}
