import { type Clock, repeat } from '../concurrency/clock.ts'
import { isChosen } from './optimizer.ts'

const LOOK_EVERY_MS = 1_000
/** Of the time between two looks: up to this the process is idle. A busy machine makes it look busy, too. */
const IDLE_PART = 0.1
/** Both since the last collection. */
const WORK_MS = 500
const GROWN_BYTES = 8 * 1024 * 1024
/** Of the processor time: a collection takes 40 ms with little on the heap, 150 for 40 MiB, 300 for 120. */
const COLLECTING_PART = 0.05
/** Nothing is served meanwhile: with more on the heap that would be felt. */
const MAX_HEAP_BYTES = 64 * 1024 * 1024
const IS_NODE_20 = Number.parseInt(process.versions.node, 10) <= 20
/**
 * Collections that compiled code outlives without being called. V8's own number, and no other: the code that Node brings
 * of its modules is for flags that are the same.
 */
const CODE_AGE = IS_NODE_20 ? 5 : 6

/** Of this process, since it started. */
interface Usage {
  /** Time in which the event loop worked, and in which it waited. */
  readonly activeMs: number
  readonly idleMs: number
  /** Processor time. */
  readonly cpuMs: number
  /** Resident, now. */
  readonly bytes: number
  /** Of the heap, in use. */
  readonly heapBytes: number
}

interface IdleCollectionOptions {
  readonly clock: Clock
  /** Default: of this process. */
  readonly usage?: () => Usage
  /** @param isFirst what has run until now does not run again */
  readonly collect?: (isFirst: boolean) => Promise<void>
}

/**
 * Gives memory back that the start or a load has left. V8 collects when memory is asked for, which an idle process does
 * not do, and keeps pages that are nearly empty.
 */
export class IdleCollection {
  readonly #options: IdleCollectionOptions
  readonly #usage: () => Usage
  #cancel = (): void => {}
  #seen: Usage
  /** At the end of the last collection; undefined: there was none. */
  #collected: Usage | undefined
  /** How much processor time that took. */
  #collectionMs = 0
  #isClosed = false

  constructor(options: IdleCollectionOptions) {
    this.#options = options
    this.#usage = options.usage ?? ownUsage
    this.#seen = this.#usage()
  }

  start(): void {
    if (this.#isClosed) return
    this.#cancel = repeat(LOOK_EVERY_MS, this.#options.clock, () => this.look())
  }

  close(): void {
    this.#isClosed = true
    this.#cancel()
  }

  /** Never rejects. */
  async look(): Promise<void> {
    const { collect = collectGarbage } = this.#options
    const [before, now] = [this.#seen, this.#usage()]
    this.#seen = now
    const activeMs = now.activeMs - before.activeMs
    const isIdle = activeMs <= IDLE_PART * (activeMs + now.idleMs - before.idleMs)
    if (!isIdle || !this.#isDue(now)) return
    const isFirst = this.#collected === undefined
    // Where it cannot be had it is not tried each second.
    await collect(isFirst).catch(() => this.close())
    this.#seen = this.#usage()
    this.#collected = this.#seen
    this.#collectionMs = this.#seen.cpuMs - now.cpuMs
  }

  #isDue({ bytes, cpuMs, heapBytes }: Usage): boolean {
    const last = this.#collected
    if (last === undefined) return true
    const workMs = Math.max(WORK_MS, this.#collectionMs / COLLECTING_PART)
    const isGrown = bytes - last.bytes >= GROWN_BYTES
    return cpuMs - last.cpuMs >= workMs && isGrown && heapBytes <= MAX_HEAP_BYTES
  }
}

function ownUsage(): Usage {
  const { active: activeMs, idle: idleMs } = performance.eventLoopUtilization()
  const { system, user } = process.cpuUsage()
  return { activeMs, idleMs, cpuMs: (system + user) / 1_000, ...ownMemory() }
}

/** Without /proc, as in a bare chroot, it is not known: what the start has left is collected, and nothing after that. */
function ownMemory(): Pick<Usage, 'bytes' | 'heapBytes'> {
  try {
    const { heapUsed: heapBytes, rss: bytes } = process.memoryUsage()
    return { bytes, heapBytes }
  } catch {
    return { bytes: 0, heapBytes: 0 }
  }
}

/**
 * The collection of V8 that empties pages, too, and shrinks the space of new objects. It takes several passes, after
 * which compiled code counts as old: that of the start may go, all later code stays.
 */
async function collectGarbage(isFirst: boolean): Promise<void> {
  const { setFlagsFromString } = await import('node:v8')
  const collect = IS_NODE_20 ? byInspector : await lastResort(setFlagsFromString)
  const keepsCode = isChosen(/flush|bytecode-old-age/)
  if (!keepsCode) setFlagsFromString(isFirst ? '--bytecode-old-age=1' : '--no-flush-bytecode')
  await collect()
  if (!keepsCode) {
    setFlagsFromString(isFirst ? `--bytecode-old-age=${CODE_AGE}` : '--flush-bytecode')
  }
}

async function lastResort(setFlag: (flag: string) => void): Promise<() => void> {
  const { runInNewContext } = await import('node:vm')
  const isExposed = isChosen(/expose.gc/)
  if (!isExposed) setFlag('--expose-gc')
  const gc: (options: object) => void = runInNewContext('gc')
  if (!isExposed) setFlag('--no-expose-gc')
  return () => gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/** `gc` of Node 20 knows no last resort; the inspector asks for it, and takes 1.5 MiB for itself. */
async function byInspector(): Promise<void> {
  const { Session } = await import('node:inspector')
  const session = new Session()
  session.connect()
  await new Promise((resolve) => session.post('HeapProfiler.collectGarbage', resolve))
  session.disconnect()
}
