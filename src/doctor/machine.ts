import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { connect } from 'node:net'
import { posix } from 'node:path'
import { readConfigFile } from '../config/files.ts'
import { diskHostsFiles, type HostsFiles } from '../config/sources/hosts-dir.ts'
import { Root } from '../install/root.ts'

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

/** What is looked at of this machine, or of the tree below `root`. Nothing of it rejects. */
export interface Machine {
  readonly root: Root
  /** Rejects only for what is there and cannot be read. */
  readonly files: HostsFiles
  /** Where a path of the machine is for this process. */
  path(path: string): string
  /** undefined: not there, or not to be seen. */
  mode(path: string): Promise<number | undefined>
  socket(path: string): Promise<SocketState>
  space(path: string): Promise<Space | undefined>
  processes(): Promise<readonly Process[]>
}

const CONNECT_LIMIT_MS = 2_000
const MAX_PROCESSES = 50_000
const STALE: readonly (string | undefined)[] = ['ECONNREFUSED']
const ABSENT: readonly (string | undefined)[] = ['ENOENT', 'ENOTDIR']

export function machineAt(folder: string): Machine {
  const root = new Root(folder)
  const path = (wanted: string): string => root.outside(wanted)
  const disk = diskHostsFiles(readConfigFile)
  const stats = (wanted: string) => stat(path(wanted)).catch(() => undefined)
  return {
    root,
    files: {
      list: async (wanted) => disk.list(path(wanted)),
      read: async (file) => disk.read(path(file)),
    },
    path,
    mode: async (wanted) => (await stats(wanted))?.mode,
    socket: (wanted) => socketState(path(wanted)),
    space: (wanted) => spaceAt(path(wanted), path('/')),
    processes: () => processesBelow(path('/proc')),
  }
}

function socketState(path: string): Promise<SocketState> {
  return new Promise((resolve) => {
    const socket = connect({ path, timeout: CONNECT_LIMIT_MS })
    const end = (state: SocketState): void => {
      socket.destroy()
      resolve(state)
    }
    socket.once('connect', () => end('served'))
    // A backlog that is full is of a server, which may be busy.
    socket.once('timeout', () => end('unknown'))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => {
      end(STALE.includes(code) ? 'stale' : ABSENT.includes(code) ? 'absent' : 'unknown')
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

async function processesBelow(proc: string): Promise<readonly Process[]> {
  const names = await readdir(proc).catch(() => [])
  const pids = names.filter((name) => /^\d+$/.test(name)).slice(0, MAX_PROCESSES)
  const found: Process[] = []
  // One after the other: each takes a descriptor, and some have few left.
  for (const pid of pids) {
    const line = await readFile(posix.join(proc, pid, 'cmdline'), 'utf8').catch(() => '')
    if (line === '') continue
    const args = line.split('\0').filter((arg) => arg !== '')
    found.push({ pid: Number(pid), name: posix.basename(args[0] ?? ''), args })
  }
  return found
}
