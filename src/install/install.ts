import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpConfig } from '../config/config.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { Journal } from './journal.ts'
import type { Kubelet, KubeletMode } from './kubelet.ts'
import { checkLed, earlierOf, leadKubelet } from './kubelet-edits.ts'
import type { Change } from './lists.ts'
import { remainsOf } from './lost-list.ts'
import { doStep, hostsFiles, type Node, planInstall, readNode, type Step } from './plan.ts'
import { CURRENT, UNITS, VERSIONS } from './program.ts'
import { SECRETS } from './secrets.ts'
import { activeState, type ServiceManager, startedAt } from './service-manager.ts'
import { checkDone, type Left } from './undo.ts'

/** What the running service says of itself. */
export interface Readiness {
  readonly isReady: boolean
  /** Why it is not; '' where it is. */
  readonly reason: string
  /** undefined: it does not answer. */
  readonly version: string | undefined
}

export interface InstallOptions {
  readonly node: Node
  readonly version: string
  readonly hosts: readonly { readonly name: string; readonly text: string }[]
  readonly mode: KubeletMode
  readonly restartKubelet: boolean
  /** How long the service may take to be ready. */
  readonly waitMs: number
  /** undefined: files alone. */
  readonly manager: ServiceManager | undefined
  readonly readiness: (http: HttpConfig) => Promise<Readiness>
  /** One line for people. */
  readonly say: (line: string) => void
  /** Shows that something takes long. */
  readonly waiting: <T>(what: string, work: Promise<T>) => Promise<T>
}

const [SERVICE, SOCKET] = UNITS
const POLL_MS = 250
/** A kubelet that cannot start ends within a second, and is started again by systemd. */
const [KUBELET_LOOKS, KUBELET_LOOK_MS] = [5, 1_000]

/**
 * Puts the service on a node, starts it, and leads kubelet to it when it is ready. What is there as wanted
 * stays, so that a second run changes nothing, and one that was interrupted is continued.
 *
 * @throws ResolveError when it fails; then all that this run has changed was put back
 */
export async function install(options: InstallOptions): Promise<void> {
  const { manager, mode, node, say, version } = options
  const { config, kubelet, root, runtime = null } = node
  const { shim: socket } = config
  const journal = new Journal(root)
  journal.tidy()
  const { isAdopted, notes, steps } = planAll(options, journal)
  for (const note of notes) say(`note: ${note}`)
  if (isAdopted && journal.installed !== undefined) journal.commit(journal.installed)
  const before = { state: manager && (await activeState(manager, SERVICE)), isRestarted: false }
  journal.begin({ runtime, socket })
  let isChanged = false
  try {
    for (const step of steps) if (doStep(journal, step)) say(`${step.path}: written`)
    if (manager !== undefined) await startService(options, manager, journal.pending)
    // Read anew: it may have been changed while the service was started.
    const earlier = earlierOf(root, journal, node)
    for (const { mode: access, path, text } of leadKubelet(root, mode, socket, earlier)) {
      const isDone =
        text === undefined
          ? journal.remove(path, 'kubelet')
          : journal.write(path, text, 'kubelet', access)
      if (!isDone) continue
      isChanged = true
      const isBack = earlier.originals.some((each) => each.path === path && each.text === text)
      say(`${path}: ${isBack ? 'as it was before' : `leads kubelet to ${socket}`}`)
    }
    checkLed(root, mode, socket)
    if (manager !== undefined && (isChanged || (await needsRestart(journal, kubelet, manager)))) {
      if (options.restartKubelet) {
        before.isRestarted = true
        await restartKubelet(options, manager)
      } else {
        // Else a restart by hand would start it as the unit of before says.
        await manager.run('daemon-reload')
        say(`next: ${manager.name} restart ${kubelet?.unit}`)
      }
    }
    isChanged = journal.pending.length > 0
    if (isChanged)
      journal.commit({
        version,
        at: new Date().toISOString(),
        socket,
        runtime: journal.about.runtime,
      })
  } catch (thrown) {
    say(`failed: ${toResolveError(thrown).message}`)
    const unmade = await undo(options, journal, before).catch(
      (cause: unknown) =>
        `it could not be put back: ${toResolveError(cause).message}; run image-resolver uninstall`,
    )
    throw withMore(thrown, unmade)
  }
  for (const path of noMoreNeeded(journal, node, steps)) {
    try {
      journal.drop(path)
    } catch (thrown) {
      const more = `it is of no use any more, and image-resolver ${version} is installed: install again then`
      throw withMore(thrown, more)
    }
    isChanged = true
    say(`${path}: removed`)
  }
  say(`image-resolver ${version}: ${isChanged || isAdopted ? 'installed' : 'nothing to change'}`)
}

function withMore(thrown: unknown, more: string): ResolveError {
  const { code, message } = toResolveError(thrown)
  return new ResolveError(code, `${message}; ${more}`, { cause: thrown })
}

/** What is to be changed, before anything is. */
export function planAll(options: InstallOptions, journal: Journal) {
  const { hosts, mode, node, version } = options
  const { config, root } = node
  const { shim: socket } = config
  const remains = remainsOf(root, { socket, hosts: hostsFiles(hosts) })
  if (remains !== undefined) {
    const { about, changes, version: before = version } = remains
    journal.adopt({ ...about, changes, version: before, at: new Date().toISOString(), socket })
  }
  const { notes, steps } = planInstall({ node, journal, version, hosts })
  const kubeletFiles = leadKubelet(root, mode, config.shim, earlierOf(root, journal, node))
  for (const { kind, path } of steps) journal.checkFree(path, kind !== 'link')
  for (const { path } of kubeletFiles) journal.checkFree(path)
  return {
    steps,
    notes: [...(remains?.notes ?? []), ...node.notes, ...notes],
    kubeletFiles,
    isAdopted: remains !== undefined,
  }
}

/** @param changes what was changed since it was started, if it was */
async function startService(
  options: InstallOptions,
  manager: ServiceManager,
  changes: readonly Change[],
): Promise<void> {
  const { config } = options.node
  const changed = changes.filter(({ part }) => part !== 'kubelet' && part !== 'hosts')
  const isActive = (await activeState(manager, SERVICE)) === 'active'
  if (isActive && changed.length === 0) return waitUntilReady(options)
  await manager.run('daemon-reload')
  const isSocketNew = changed.some(({ path }) => path.endsWith(`/${SOCKET}`))
  if (isSocketNew || (await activeState(manager, SOCKET)) !== 'active') {
    // systemd does not open the socket of a service that runs.
    if (isActive) await manager.run('stop', SERVICE)
    await manager.run('restart', SOCKET)
  }
  await options.waiting(SERVICE, manager.run('restart', SERVICE))
  options.say(`${SERVICE}: started`)
  await waitUntilReady(options)
  options.say(`${SERVICE}: ready at ${config.shim}`)
}

async function waitUntilReady({ node, readiness, waitMs, waiting }: InstallOptions): Promise<void> {
  const end = performance.now() + waitMs
  const ask = async (): Promise<void> => {
    for (;;) {
      const { isReady, reason } = await readiness(node.config.http)
      if (isReady) return
      if (performance.now() >= end) {
        const how = `journalctl -u ${SERVICE} says more`
        throw new ResolveError('UNAVAILABLE', `${SERVICE} did not get ready: ${reason}; ${how}`)
      }
      await sleep(POLL_MS)
    }
  }
  await waiting(SERVICE, ask())
}

/** Whether kubelet was started before its files were changed. */
export async function needsRestart(
  { about: { kubeletLastAt: lastAt } }: Journal,
  kubelet: Kubelet | undefined,
  manager: ServiceManager,
): Promise<boolean> {
  if (kubelet === undefined || lastAt === null) return false
  const started = await startedAt(manager, kubelet.unit)
  return started !== undefined && started.getTime() < Date.parse(lastAt)
}

async function restartKubelet(options: InstallOptions, manager: ServiceManager): Promise<void> {
  const { node, say, waiting } = options
  const unit = node.kubelet?.unit ?? 'kubelet.service'
  await waiting(unit, restartUnit(manager, unit))
  say(`${unit}: restarted`)
}

/** @throws ResolveError UNAVAILABLE where it does not stay up */
export async function restartUnit(manager: ServiceManager, unit: string): Promise<void> {
  await manager.run('daemon-reload')
  await manager.run('restart', unit)
  for (let look = 0; look < KUBELET_LOOKS; look += 1) {
    await sleep(KUBELET_LOOK_MS)
    const state = await activeState(manager, unit)
    if (state === 'active') continue
    const how = `journalctl -u ${unit} says more`
    throw new ResolveError('UNAVAILABLE', `${unit} does not stay up (${state}); ${how}`)
  }
}

interface Before {
  /** Of the service; undefined: systemd is not asked. */
  readonly state: string | undefined
  /** This run has restarted kubelet. */
  readonly isRestarted: boolean
}

/**
 * Puts back what this run has changed: kubelet first, then the service, then files.
 *
 * @returns what has become of it, for people
 */
async function undo(
  options: InstallOptions,
  journal: Journal,
  { state, isRestarted }: Before,
): Promise<string> {
  const { manager, node, say, waiting } = options
  const tell = (left: readonly Left[]): void => {
    checkDone(left)
    for (const { path } of left) say(`${path}: changed by others meanwhile, left as it is`)
  }
  const unit = node.kubelet?.unit
  const restart = async (): Promise<void> => {
    if (isRestarted && manager !== undefined && unit !== undefined) {
      await waiting(unit, restartUnit(manager, unit))
    }
  }
  const isFirst = journal.installed === undefined
  const changed = journal.pending
  let more = ''
  if (isFirst) {
    tell(journal.putKubeletBack())
    await restart()
    await manager?.run('stop', SOCKET, SERVICE)
  }
  tell(journal.rollBack())
  if (manager !== undefined && isFirst) await manager.run('daemon-reload')
  else if (manager !== undefined) {
    // Its own words: kubelet uses that service again, so it has to be there first.
    more = await startAgain(options, manager, changed, state).then(
      () => '',
      (cause: unknown) => `, but ${toResolveError(cause).message}`,
    )
    await restart()
  }
  return `what was changed is put back${more}`
}

/** Starts the service of before; one that was stopped is stopped. */
async function startAgain(
  options: InstallOptions,
  manager: ServiceManager,
  changed: readonly Change[],
  state: string | undefined,
): Promise<void> {
  if (state === 'inactive') {
    await manager.run('daemon-reload')
    await manager.run('stop', SERVICE)
    return
  }
  const node = await readNode({ root: options.node.root })
  await startService({ ...options, node }, manager, changed)
}

/** What an earlier installation has brought that is of no use any more. @param steps of this one */
export function noMoreNeeded(
  journal: Journal,
  node: Node,
  steps: readonly Step[],
): readonly string[] {
  return [...oldSecrets(journal, node), ...oldVersions(journal, steps)]
}

/** Files that this one has not. */
function oldSecrets({ installed }: Journal, { root, secrets }: Node): readonly string[] {
  if (secrets === undefined) return []
  const [folder, wanted] = [`${root.real(SECRETS)}/`, secrets.map(({ path }) => root.real(path))]
  return (installed?.changes ?? [])
    .filter(({ after, path }) => after?.kind === 'file' && path.startsWith(folder))
    .map(({ path }) => path)
    .filter((path) => !wanted.includes(path))
}

/** The service that runs is of the new one. */
function oldVersions({ installed }: Journal, steps: readonly Step[]): readonly string[] {
  const current = steps.find(({ path }) => path === CURRENT)
  if (current?.kind !== 'link') return []
  return (installed?.changes ?? [])
    .map(({ path }) => path)
    .filter((path) => path.startsWith(`${VERSIONS}/`) && !path.endsWith(`/${current.target}`))
}
