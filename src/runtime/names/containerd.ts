import { setTimeout as sleep } from 'node:timers/promises'
import { ResolveError } from '../../errors.ts'
import type { Logger } from '../../telemetry/log.ts'
import { isRuntimeError } from '../call.ts'
import { status } from '../status.ts'
import type { ImageNames, NamingOptions, NodeImage, WholeImage } from '../types.ts'
import { type LeaseJournal, NO_JOURNAL } from './journal.ts'
import { createNameLeases, type LeaseOutcome } from './lease.ts'
import { createNameRepair } from './name-repair.ts'
import type { NameTable, NameTarget } from './name-table.ts'
import { isPinned } from './name-table.ts'

/** Milliseconds between looks at the runtime; the last value repeats. */
const PAUSES_MS = [1, 2, 5, 10]
/** Another process may change a name at the same time. More than a few times is no race. */
const ROUNDS = 5

export interface ContainerdNamesOptions {
  readonly table: NameTable
  /** ImageStatus of the runtime. */
  readonly imageStatus: (image: string) => Promise<NodeImage | undefined>
  /** Whether all content of an image is there: what its name stands for, and its ID. */
  readonly isComplete: (target: string, imageId: string) => Promise<boolean>
  /** As ImageNames.whole; absent: of no image that can be told. */
  readonly whole?: (name: string, options?: NamingOptions) => Promise<WholeImage | undefined>
  /** Forgets what is known of the runtime when its connection is lost. */
  readonly onLost: (listener: () => void) => void
  /** Records pulls under way, so that the names of interrupted ones are repaired; default: none. */
  readonly journal?: LeaseJournal
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** How long to wait for the runtime to show the names. Default 5,000. */
  readonly limitMs?: number
  /** Milliseconds of a clock that never jumps. */
  readonly now?: () => number
  readonly wait?: (ms: number) => Promise<unknown>
}

/**
 * Names in containerd's own table: every client sees them, and they survive restarts without any state
 * here. CRI has no call for this; the service is containerd's, on the same socket.
 *
 * A pull that was interrupted, by a crash of this process or of the runtime or by a caller that left, is
 * repaired: an image under the mirror's name gets the wanted names that nothing else has by now, and the
 * mirror's name is deleted. A name that stands for another image is newer, and stays.
 */
export function createContainerdNames(options: ContainerdNamesOptions): ImageNames {
  const { table, imageStatus, isComplete, journal = NO_JOURNAL, log } = options
  const { limitMs = 5_000, now = () => performance.now(), wait = sleep } = options
  /** Of pulls that were interrupted: the runtime may be ending one, and give the name yet. */
  const late = new Set<string>()
  const leases = createNameLeases(
    async (name) => (await table.get(name)) !== undefined && !(await journal.has(name)),
    async (name) => {
      try {
        await table.delete(name)
        return true
      } catch (error) {
        // The pull has succeeded all the same.
        log.warn({ err: error, name }, 'the name of a mirror could not be taken away')
        return false
      }
    },
  )
  const repair = createNameRepair({
    // A pull that is under way ends it by itself.
    left: async () => [...(await journal.left())].filter(([name]) => !leases.isHeld(name)),
    repair: repairName,
    forget: (name) => {
      if (leases.isHeld(name)) return
      late.delete(name)
      journal.done(name)
    },
    failed: (err) => log.warn({ err }, 'what an interrupted pull had left stays for now'),
    now,
    wait: options.wait,
  })
  let offered: boolean | undefined
  options.onLost(() => {
    offered = undefined
  })

  async function repairName(name: string, wanted: readonly string[]): Promise<boolean> {
    late.add(name)
    const lease = await leases.acquire(name)
    let end: LeaseOutcome = 'held'
    try {
      const image = await table.look(name)
      if (image === undefined) return false
      if (isPinned(image) || image.holdsOthers) lease.keep()
      const { target } = image
      for (const each of wanted) {
        const digest = each.split('@')[1] ?? target.digest
        if (digest === target.digest) await table.create(each, target)
      }
      lease.named()
      log.info({ name, names: wanted }, 'ended what an interrupted pull had left')
    } finally {
      end = await lease.release()
      if (end === 'kept') {
        late.delete(name)
        journal.done(name)
      }
    }
    if (end === 'gone') {
      await shownWhen((image) => !image || !hasAll(image, [name]), [name], undefined)
    }
    return true
  }

  async function give(names: readonly string[], target: NameTarget): Promise<void> {
    for (const name of names) {
      const digest = name.split('@')[1]
      if (digest !== undefined && digest !== target.digest) {
        const problem = `the runtime has ${target.digest} where ${name} was asked for`
        throw new ResolveError('DIGEST_INVALID', problem)
      }
    }
    await Promise.all(names.map((name) => point(table, name, target)))
  }

  // The CRI part of containerd follows the table by events, some milliseconds later.
  async function shownWhen(
    shown: (image: NodeImage | undefined) => boolean,
    names: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (names.length === 0) return
    const started = now()
    for (let round = 0; ; round += 1) {
      const image = await imageStatus(names[0] ?? '').catch(() => null)
      if (image !== null && shown(image)) return
      if (signal?.aborted || now() - started >= limitMs) {
        log.warn({ names, limitMs }, 'the runtime does not show the names of an image yet')
        return
      }
      await wait(PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)] ?? 0)
    }
  }

  async function withLease(
    mirrorName: string,
    pull: () => Promise<string>,
    wanted: readonly string[],
    { signal }: NamingOptions = {},
  ): Promise<string> {
    const lease = await leases.acquire(mirrorName)
    let imageId: string
    let end: LeaseOutcome = 'held'
    const isNoted = lease.isOurs && !wanted.includes(mirrorName)
    // Written while the runtime asks the registry, before which it gives no name. A name that is pulled for itself is to
    // outlive a crash: an earlier pull by it must not look interrupted then.
    const noted = isNoted ? journal.begin(mirrorName, wanted) : journal.written()
    try {
      // containerd may have named an image that it then could not unpack, which gets no names.
      imageId = await pull().catch((thrown: unknown) => {
        if (isVerdict(thrown)) lease.named()
        else if (isNoted) late.add(mirrorName)
        throw thrown
      })
      // A name that was not given by this pull stays, whatever depends on it.
      const found = isNoted ? table.look(mirrorName) : table.get(mirrorName)
      const [image] = await Promise.all([found, noted])
      if (image === undefined) {
        throw new ResolveError(
          'UNAVAILABLE',
          `${mirrorName} was pulled, but the runtime does not have it: it was removed meanwhile`,
        )
      }
      await give(wanted, image.target).catch((thrown: unknown) => {
        // An image that was not asked for gets no names, now or later.
        if (isOtherImage(thrown)) lease.named()
        throw thrown
      })
      if (wanted.length > 0) lease.named()
      const mustStay = wanted.includes(mirrorName) || isPinned(image) || image.holdsOthers
      if (mustStay) lease.keep()
    } finally {
      await noted
      end = await lease.release()
      if (end === 'kept') late.delete(mirrorName)
      const isLate = late.has(mirrorName)
      if (end === 'left' || isLate) repair.needed()
      else if (end !== 'held') journal.done(mirrorName)
    }
    const shown = (image: NodeImage | undefined) =>
      image !== undefined &&
      image.id === imageId &&
      hasAll(image, wanted) &&
      !(end === 'gone' && hasAll(image, [mirrorName]))
    await shownWhen(shown, wanted, signal)
    return imageId
  }

  return {
    available: async () => {
      offered ??= await table.available()
      if (offered) void repair.settle(false)
      return offered
    },
    settle: repair.settle,
    whole: options.whole ?? (async () => undefined),
    withLease,
    name: async (existing, wanted, { signal } = {}) => {
      const image = await table.get(existing)
      const known = image && (await imageStatus(existing))
      if (image === undefined || known === undefined) return false
      if (!(await isComplete(image.target.digest, known.id))) return false
      await give(wanted, image.target)
      await shownWhen((image) => image !== undefined && hasAll(image, wanted), wanted, signal)
      return true
    },
  }
}

/** Makes a name stand for a target, whatever it stood for. */
async function point(table: NameTable, name: string, target: NameTarget): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    if (await table.create(name, target)) return
    const there = await table.get(name)
    if (there?.target.digest === target.digest && !(await table.lacksPin(there))) return
    if (await table.update(name, target)) return
    // Deleted in the meantime: it can be created again.
  }
  throw new ResolveError('UNAVAILABLE', `${name} is changed over and over by another process`)
}

/** After these codes the runtime may have been interrupted, and may continue. */
const INTERRUPTED: ReadonlySet<number> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
])

/** The runtime's pull has failed for good. */
function isVerdict(thrown: unknown): boolean {
  return isRuntimeError(thrown) && !INTERRUPTED.has(thrown.code)
}

/** It is not the image that was asked for. */
function isOtherImage(thrown: unknown): boolean {
  return thrown instanceof ResolveError && thrown.code === 'DIGEST_INVALID'
}

function hasAll(image: NodeImage, names: readonly string[]): boolean {
  return names.every((name) => image.repoTags.includes(name) || image.repoDigests.includes(name))
}
