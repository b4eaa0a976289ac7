import { randomUUID } from 'node:crypto'
import {
  linkSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { ResolveError } from '../errors.ts'
import { unwritable } from '../host/unwritable.ts'
import type { Root } from './root.ts'

const LOCK = '/var/lib/image-resolver.lock'
/** How often its owner shows that it is alive, and how long it may be silent. */
const [BEAT_MS, SILENT_MS] = [2_000, 30_000]

interface Owner {
  readonly pid: number
  /** When it was started, in ticks since the machine was: IDs are used again. */
  readonly started: string
  /** Of the PIDs: nothing is known of a process in another one, but that it beats. */
  readonly namespace: string
}

/**
 * Runs something while no other process does so on that node, in another container neither. The lock
 * of a process that has died is taken over.
 *
 * @throws ResolveError UNAVAILABLE where another process has it
 */
export async function withLock<T>(root: Root, work: () => Promise<T>): Promise<T> {
  const path = root.outside(LOCK)
  take(path)
  const beat = setInterval(() => {
    const now = new Date()
    utimesSync(path, now, now)
  }, BEAT_MS).unref()
  try {
    return await work()
  } finally {
    clearInterval(beat)
    rmSync(path, { force: true })
  }
}

function take(path: string): void {
  const next = `${path}.${randomUUID()}`
  try {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(next, JSON.stringify(ownerOf('self')), { mode: 0o600, flag: 'wx' })
    // With its content in one step, and only where there is none.
    while (!linked(next, path)) removeStale(path)
  } catch (thrown) {
    throw thrown instanceof ResolveError ? thrown : unwritable(path, thrown)
  } finally {
    rmSync(next, { force: true })
  }
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw thrown
  }
}

/** @throws ResolveError UNAVAILABLE where its owner is alive */
function removeStale(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  const owner = ownerIn(readFileSync(path, 'utf8'))
  if (owner !== undefined && isAlive(owner, stats.mtimeMs)) {
    const message = `another install or uninstall is running (process ${owner.pid}, ${path})`
    throw new ResolveError('UNAVAILABLE', message)
  }
  // Two may have found it stale: what is taken away has to be what was looked at.
  const aside = `${path}.${randomUUID()}`
  renameSync(path, aside)
  if (statSync(aside).ino === stats.ino) rmSync(aside)
  else renameSync(aside, path)
}

function isAlive({ namespace, pid, started }: Owner, beatMs: number): boolean {
  const isHere = namespace === ownerOf('self')?.namespace
  return isHere ? ownerOf(pid)?.started === started : Date.now() - beatMs < SILENT_MS
}

/** @returns undefined for what no process writes, but a crash of the machine leaves: an empty file */
function ownerIn(text: string): Owner | undefined {
  try {
    const owner: Partial<Owner> | null = JSON.parse(text)
    const { namespace, pid, started } = owner ?? {}
    if (namespace === undefined || pid === undefined || started === undefined) return undefined
    return { namespace, pid, started }
  } catch {
    return undefined
  }
}

function ownerOf(pid: number | 'self'): Owner | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of the program is in brackets, and may hold anything.
    const started = stat.slice(stat.lastIndexOf(')')).split(' ')[20] ?? ''
    const namespace = readlinkSync('/proc/self/ns/pid')
    return { pid: Number.parseInt(stat, 10), started, namespace }
  } catch {
    return undefined
  }
}
