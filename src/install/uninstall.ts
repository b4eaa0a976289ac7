import { isSameSocket } from '../config/values.ts'
import { ResolveError } from '../errors.ts'
import { accessOf, writeWhole } from './files.ts'
import { restartUnit } from './install.ts'
import { Journal } from './journal.ts'
import { findKubelet, leads, type Setting } from './kubelet.ts'
import { leadKubeletBack } from './kubelet-edits.ts'
import { unitSocket } from './lost-list.ts'
import { UNITS } from './program.ts'
import type { PlannedFile, Root } from './root.ts'
import { type ServiceManager, startedAt } from './service-manager.ts'
import { isStuck, type Left } from './undo.ts'

export interface UninstallOptions {
  readonly root: Root
  readonly restartKubelet: boolean
  /** undefined: files alone. */
  readonly manager: ServiceManager | undefined
  readonly say: (line: string) => void
  readonly waiting: <T>(what: string, work: Promise<T>) => Promise<T>
}

const [SERVICE, SOCKET] = UNITS

/**
 * Leaves a node as it was before `install`: kubelet first, then the service, then files. An interrupted one is
 * ended by the next.
 *
 * @returns whether everything is as it was; false: some files were changed by others and are left
 * @throws ResolveError UNAVAILABLE where kubelet has to be restarted before, and may not be; DENIED for
 * files that cannot be written
 */
export async function uninstall(options: UninstallOptions): Promise<boolean> {
  const { manager, root, say } = options
  const journal = new Journal(root)
  journal.tidy()
  if (journal.installed === undefined && journal.pending.length === 0) {
    checkFree(root)
    say('image-resolver was not installed by `image-resolver install`: nothing to do')
    return true
  }
  const left = [...journal.putKubeletBack()]
  const stuck = left.find(({ problem }) => problem !== undefined)
  if (stuck !== undefined) {
    const what = `${stuck.problem}; kubelet may lead to this service, which was not stopped`
    throw new ResolveError('DENIED', `${what}: uninstall again then`)
  }
  for (const { path, text } of ledBack(root, journal)) {
    if (text === undefined) continue
    const file = root.outside(path)
    writeWhole(file, Buffer.from(text), accessOf(file))
    say(`${path}: leads kubelet to ${journal.about.runtime}`)
  }
  if (manager !== undefined) {
    await freeKubelet(options, journal, manager)
    if (isStarted(journal)) {
      await options.waiting(SERVICE, manager.run('stop', SOCKET, SERVICE))
      say(`${SERVICE}: stopped`)
    }
  }
  left.push(...journal.end())
  if (manager !== undefined) await manager.run('daemon-reload')
  const seen = new Map(left.map((each) => [each.path, each]))
  const isAbove = (folder: string): boolean =>
    [...seen.keys()].some((path) => path.startsWith(`${folder}/`))
  for (const each of seen.values()) if (!isAbove(each.path)) say(describeLeft(each))
  say(
    isStuck(left)
      ? 'image-resolver: uninstalled but for what is named above; uninstall again when that can be written'
      : 'image-resolver: uninstalled',
  )
  return seen.size === 0
}

/** The service was enabled, so it may run. */
export function isStarted({ installed, pending }: Journal): boolean {
  const all = [...pending, ...(installed?.changes ?? [])]
  return all.some(({ path }) => path.endsWith(`.wants/${SERVICE}`))
}

/**
 * Of what a lost list had, or a package has installed, nothing can be put back.
 *
 * @throws ResolveError UNAVAILABLE where kubelet leads to the socket of the service's unit all the same
 */
export function checkFree(root: Root): void {
  const socket = unitSocket(root)
  if (socket === undefined) return
  const { images, runtime } = findKubelet(root) ?? {}
  const setting = [images, runtime].find((each) => leads(each, socket))
  if (setting === undefined) return
  const what = `kubelet leads to ${setting.value}, the socket of this service (${setting.file}:${setting.line})`
  const why = 'and there is no list of what was installed to put it back from'
  const how =
    'run image-resolver install, which makes the list again, or set the socket of the runtime there by hand and restart kubelet'
  throw new ResolveError('UNAVAILABLE', `${what}, ${why}: ${how}`)
}

export function describeLeft({ backup, path, problem }: Left): string {
  if (problem !== undefined) return `${path}: left: ${problem}`
  if (backup === undefined)
    return `${path}: left, since it was changed by others or holds their files`
  return `${path}: left, since it was changed by others; as it was before: ${backup}`
}

/**
 * Where a file of kubelet was changed by others, its endpoint alone is.
 *
 * @returns the files as they are to be
 * @throws ResolveError UNAVAILABLE where kubelet leads to a socket of the service after that, too
 */
export function ledBack(
  root: Root,
  { about: { runtime, sockets } }: Journal,
): readonly PlannedFile[] {
  const ours = (planned: Root): Setting | undefined => {
    const { images, runtime: every } = findKubelet(planned) ?? {}
    return [images, every].find((setting) => sockets.some((socket) => leads(setting, socket)))
  }
  if (ours(root) === undefined) return []
  const isKnown = runtime !== null && !sockets.some((socket) => isSameSocket(socket, runtime))
  const files = isKnown ? leadKubeletBack(root, sockets, runtime) : []
  const left = ours(root.with(...files))
  if (left === undefined) return files
  const what = `kubelet leads to ${left.value}, a socket of this service (${left.file}:${left.line})`
  const how = 'set the socket of the runtime there by hand, and uninstall again'
  throw new ResolveError('UNAVAILABLE', `${what}; the service was not stopped: ${how}`)
}

/** @throws ResolveError UNAVAILABLE where kubelet may still use the service's socket */
async function freeKubelet(
  { restartKubelet, root, say, waiting }: UninstallOptions,
  journal: Journal,
  manager: ServiceManager,
): Promise<void> {
  const unit = await userOf(root, journal, manager)
  if (unit === undefined) return
  if (!restartKubelet) {
    // Else a restart by hand would start it as the unit of before says.
    await manager.run('daemon-reload')
    const how = `${manager.name} restart ${unit}, then uninstall again, or uninstall --restart-kubelet`
    const what = `the files of kubelet are as they were, and it still uses the service's socket`
    throw new ResolveError('UNAVAILABLE', `${what}; nothing else was changed: ${how}`)
  }
  await waiting(unit, restartUnit(manager, unit))
  say(`${unit}: restarted`)
}

/** @returns the unit of a kubelet that may still use the service's socket */
export async function userOf(
  root: Root,
  { about: { kubeletAt: changedAt, kubeletBackAt: backAt } }: Journal,
  manager: ServiceManager,
): Promise<string | undefined> {
  const unit = findKubelet(root)?.unit
  if (changedAt === null || unit === undefined) return undefined
  const started = (await startedAt(manager, unit))?.getTime()
  // It is known to the second.
  const isAfter = (time: string): boolean =>
    started !== undefined && started >= Math.floor(Date.parse(time) / 1_000) * 1_000
  const isFree = started === undefined || !isAfter(changedAt)
  return isFree || (backAt !== null && started - Date.parse(backAt) >= 0) ? undefined : unit
}
