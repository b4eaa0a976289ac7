import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpConfig } from '../config/config.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { fileDiff } from './diff.ts'
import { Journal, type Left } from './journal.ts'
import { type KubeletMode, leadKubelet, type TextFile } from './kubelet.ts'
import { describeStep, doStep, type Node, planInstall } from './plan.ts'
import { CURRENT, UNITS, VERSIONS } from './program.ts'
import { SECRETS } from './secrets.ts'
import { activeState, type ServiceManager, startedAt } from './service-manager.ts'

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
  const { manager, node, say, version } = options
  const journal = new Journal(node.root)
  journal.tidy()
  const { steps, notes, kubeletFiles } = planAll(options, journal)
  for (const note of notes) say(`note: ${note}`)
  const wasRunning = manager !== undefined && (await activeState(manager, SERVICE)) === 'active'
  let isKubeletRestarted = false
  try {
    for (const step of steps) if (doStep(journal, step)) say(`${step.path}: written`)
    if (manager !== undefined) await startService(options, manager, journal)
    for (const { mode, path, text } of kubeletFiles) {
      if (journal.write(path, text, 'kubelet', mode))
        say(`${path}: leads kubelet to ${node.config.shim}`)
    }
    if (manager !== undefined && (await needsRestart(journal, node, manager))) {
      if (options.restartKubelet) {
        isKubeletRestarted = true
        await restartKubelet(options, manager)
      } else say(`next: ${manager.name} restart ${node.kubelet?.unit}`)
    }
    dropOldSecrets(journal, node)
    if (journal.pending.length === 0) return say(`image-resolver ${version}: nothing to change`)
    const { shim: socket } = node.config
    const runtime = node.runtime ?? journal.installed?.runtime ?? null
    journal.commit({ version, at: new Date().toISOString(), socket, runtime })
    dropOldVersions(journal)
    say(`image-resolver ${version}: installed`)
  } catch (thrown) {
    say(`failed: ${toResolveError(thrown).message}`)
    const unmade = await undo(options, journal, { wasRunning, isKubeletRestarted }).then(
      () => 'what was changed is put back',
      (cause: unknown) =>
        `it could not be put back: ${toResolveError(cause).message}; run image-resolver uninstall`,
    )
    throw withMore(thrown, unmade)
  }
}

function withMore(thrown: unknown, more: string): ResolveError {
  const { code, message } = toResolveError(thrown)
  return new ResolveError(code, `${message}; ${more}`, { cause: thrown })
}

function planAll(options: InstallOptions, journal: Journal) {
  const { hosts, mode, node, version } = options
  const { kubelet, root } = node
  const { notes, steps } = planInstall({ node, journal, version, hosts })
  const kubeletFiles: readonly TextFile[] =
    kubelet === undefined ? [] : leadKubelet(root, kubelet, mode, node.config.shim)
  for (const { kind, path } of steps) journal.checkFree(path, kind !== 'link')
  for (const { path } of kubeletFiles) journal.checkFree(path)
  return { steps, notes: [...node.notes, ...notes], kubeletFiles }
}

/** What an installation would do: a diff of each file, and each command. */
export async function describeInstall(options: InstallOptions): Promise<string> {
  const { manager, node, restartKubelet: restarts } = options
  const journal = new Journal(node.root)
  const { steps, notes, kubeletFiles } = planAll(options, journal)
  const files = steps.flatMap((step) => describeStep(node.root, step) ?? [])
  const kubelet = kubeletFiles.map(({ path, text }) => fileDiff(path, node.root.text(path), text))
  const isStarted = manager !== undefined && (await activeState(manager, SERVICE)) === 'active'
  const commands = (list: readonly string[]): string[] =>
    manager === undefined ? [] : list.map((command) => `$ ${manager.name} ${command}\n`)
  const needsStart = files.length > 0 || !isStarted
  const unit = node.kubelet?.unit
  return [
    ...notes.map((note) => `# note: ${note}\n`),
    ...files,
    ...(needsStart ? commands(['daemon-reload', `start ${SOCKET}`, `restart ${SERVICE}`]) : []),
    ...kubelet,
    ...(kubelet.length > 0 && restarts && unit !== undefined
      ? commands(['daemon-reload', `restart ${unit}`])
      : []),
  ].join('')
}

async function startService(
  options: InstallOptions,
  manager: ServiceManager,
  journal: Journal,
): Promise<void> {
  const { config } = options.node
  // Also what an interrupted run has changed.
  const changed = journal.pending.filter(({ part }) => part !== 'kubelet' && part !== 'hosts')
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
async function needsRestart(
  journal: Journal,
  { kubelet }: Node,
  manager: ServiceManager,
): Promise<boolean> {
  const { changedAt } = journal.kubelet
  if (kubelet === undefined || changedAt === null) return false
  const started = await startedAt(manager, kubelet.unit)
  if (started === undefined) return false
  const isChanged = journal.pending.some(({ part }) => part === 'kubelet')
  return isChanged || started.getTime() < Date.parse(changedAt)
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
  readonly wasRunning: boolean
  readonly isKubeletRestarted: boolean
}

/** Puts back what this run has changed: kubelet first, then the service, then files. */
async function undo(
  { manager, node, say, waiting }: InstallOptions,
  journal: Journal,
  { wasRunning, isKubeletRestarted }: Before,
): Promise<void> {
  const unit = node.kubelet?.unit
  const tell = (left: readonly Left[]): void => {
    for (const { path } of left) say(`${path}: changed by others meanwhile, left as it is`)
  }
  if (journal.installed === undefined) tell(journal.putKubeletBack())
  if (manager === undefined) return tell(journal.rollBack())
  if (journal.installed === undefined) {
    if (isKubeletRestarted && unit !== undefined) await waiting(unit, restartUnit(manager, unit))
    await manager.run('stop', SOCKET, SERVICE)
  }
  tell(journal.rollBack())
  await manager.run('daemon-reload')
  if (journal.installed === undefined) return
  if (wasRunning) await waiting(SERVICE, manager.run('restart', SERVICE))
  if (isKubeletRestarted && unit !== undefined) await waiting(unit, restartUnit(manager, unit))
}

/** Files that an earlier installation has brought, and this one has not. */
function dropOldSecrets(journal: Journal, { root, secrets }: Node): void {
  if (secrets === undefined) return
  const [folder, wanted] = [`${root.real(SECRETS)}/`, secrets.map(({ path }) => root.real(path))]
  for (const { after, path } of journal.installed?.changes ?? []) {
    const isOurs = after.kind === 'file' && path.startsWith(folder)
    if (isOurs && !wanted.includes(path)) journal.drop(path)
  }
}

/** The service that runs is of the new one. */
function dropOldVersions(journal: Journal): void {
  const { changes = [] } = journal.installed ?? {}
  const current = changes.find(({ path }) => path === CURRENT)?.after
  if (current?.kind !== 'link') return
  for (const { path } of changes) {
    const isVersion = path.startsWith(`${VERSIONS}/`)
    if (isVersion && !path.endsWith(`/${current.target}`)) journal.drop(path)
  }
}
