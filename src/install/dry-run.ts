import { lookAt } from './files.ts'
import { type InstallOptions, needsRestart, noMoreNeeded, planAll } from './install.ts'
import { Journal } from './journal.ts'
import { FLAGS, findKubelet, type Setting } from './kubelet.ts'
import { originalsOf } from './kubelet-edits.ts'
import { type Change, inOrder } from './lists.ts'
import type { Step } from './plan.ts'
import { UNITS } from './program.ts'
import type { PlannedFile, Root } from './root.ts'
import { activeState, type ServiceManager } from './service-manager.ts'
import { fateOf } from './undo.ts'
import {
  checkFree,
  describeLeft,
  isStarted,
  ledBack,
  type UninstallOptions,
  userOf,
} from './uninstall.ts'

const [SERVICE, SOCKET] = UNITS

function commands(manager: ServiceManager | undefined, ...list: readonly string[]): string[] {
  return manager === undefined ? [] : list.map((command) => `$ ${manager.name} ${command}\n`)
}

/** What an installation would do: what it writes, and each command. */
export async function describeInstall(options: InstallOptions): Promise<string> {
  const { manager, node, restartKubelet: restarts } = options
  const journal = new Journal(node.root)
  const { steps, notes, kubeletFiles } = planAll(options, journal)
  const files = steps.flatMap((step) => describeStep(node.root, step) ?? [])
  const kubelet = endpointDiff(node.root, kubeletFiles)
  const isStarted = manager !== undefined && (await activeState(manager, SERVICE)) === 'active'
  const needsStart = files.length > 0 || !isStarted
  const unit = node.kubelet?.unit
  const isStale = manager !== undefined && (await needsRestart(journal, node.kubelet, manager))
  return [
    ...notes.map((note) => `# note: ${note}\n`),
    ...files,
    ...(needsStart
      ? commands(manager, 'daemon-reload', `start ${SOCKET}`, `restart ${SERVICE}`)
      : []),
    ...kubelet,
    ...((kubelet.length > 0 || isStale) && unit !== undefined
      ? commands(manager, 'daemon-reload', ...(restarts ? [`restart ${unit}`] : []))
      : []),
    ...noMoreNeeded(journal, node, steps).map((path) => `# ${path}: removed\n`),
  ].join('')
}

/** What uninstall() would do: what it puts back, in its order, and each command. */
export async function describeUninstall(options: UninstallOptions): Promise<string> {
  const { manager, restartKubelet, root } = options
  const journal = new Journal(root)
  const { installed, pending } = journal
  const first = new Map((installed?.changes ?? []).map((change) => [change.path, change]))
  if (installed === undefined && pending.length === 0) {
    checkFree(root)
    return '# image-resolver was not installed by `image-resolver install`: nothing to do\n'
  }
  const put = root.with(...originalsOf(root, journal))
  const planned = put.with(...ledBack(put, journal))
  const unit = manager && (await userOf(root, journal, manager))
  const last = new Map([...first, ...pending.map((change) => [change.path, change] as const)])
  const files = inOrder([...last.values()]).map((change) =>
    describeUndo(root, change, first.get(change.path)),
  )
  const restart = restartKubelet ? [`restart ${unit}`] : []
  return [
    ...endpointDiff(root, planned.planned),
    ...(unit === undefined ? [] : commands(manager, 'daemon-reload', ...restart)),
    ...(unit === undefined || restartKubelet
      ? []
      : [`# ${unit} uses the service: restart it by then, and uninstall again for the rest\n`]),
    ...(isStarted(journal) ? commands(manager, `stop ${SOCKET} ${SERVICE}`) : []),
    ...files,
    ...commands(manager, 'daemon-reload'),
  ].join('')
}

/** @param known the change of the installation, where that is of a run that did not end */
function describeUndo(root: Root, change: Change, known: Change | undefined): string {
  const { after, backup, part, path } = change
  const fate = fateOf(root, change, known)
  if (fate === 'left') return `# ${describeLeft({ path, backup })}\n`
  // Endpoints are shown.
  if (fate !== 'undone' || (part === 'kubelet' && after?.kind !== 'folder')) return ''
  const { before, backup: kept } = known ?? change
  if (before?.kind === 'link') return `# ${path} -> ${before.target}\n`
  if (before?.kind === 'file') return `${headOf(path, true, true).join('\n')}\n# as ${kept} is\n`
  if (after?.kind === 'file') return `${headOf(path, true, false).join('\n')}\n`
  return `# ${path}${after?.kind === 'folder' ? '/' : ''}: removed\n`
}

/** What a step would do, for people; undefined: nothing. */
function describeStep(root: Root, step: Step): string | undefined {
  const { path } = step
  if (step.kind === 'file') {
    const before = root.text(path)
    if (before === step.text) return undefined
    if (!step.isSecret) return textDiff(path, before, step.text)
    return `# ${path}: written as given, ${Buffer.byteLength(step.text)} bytes; not shown, since it may hold secrets\n`
  }
  if (step.kind === 'link') {
    const now = lookAt(root.outside(path, false))
    if (now?.kind === 'link' && now.target === step.target) return undefined
    return `# ${path} -> ${step.target}\n`
  }
  if (root.exists(path)) return undefined
  if (step.kind === 'folder') return `# ${path}/: made\n`
  const { bytes, files } = step.program
  return `# ${path}/: ${files.length} files, ${Math.ceil(bytes / 2 ** 20)} MiB\n`
}

/** Values of endpoints are shown if they are like one. */
const ENDPOINT = /^[\w./@:+-]{1,200}$/

/**
 * What changes in kubelet's files, one text for each: the values of endpoints, since all else in them is of others, and
 * may hold secrets. So may a command that a drop-in repeats.
 *
 * @param files as leadKubelet() gives them
 */
function endpointDiff(root: Root, files: readonly PlannedFile[]): readonly string[] {
  const before = findKubelet(root)
  const after = findKubelet(root.with(...files))
  return files.map(({ path, text }) => {
    const here = (setting: Setting | undefined) => (setting?.file === path ? setting : undefined)
    const hunks = (['runtime', 'images'] as const).flatMap((name) => {
      const [old, now] = [here(before?.[name]), here(after?.[name])]
      const setting = now ?? old
      if (setting === undefined || old?.value === now?.value) return []
      const shown = (mark: string, { value }: Setting): string =>
        `${mark}${ENDPOINT.test(value) ? value : '…'}`
      return [
        `@@ ${path}:${setting.line} ${setting.field ?? `--${FLAGS[name]}`} @@`,
        ...(old === undefined ? [] : [shown('-', old)]),
        ...(now === undefined ? [] : [shown('+', now)]),
      ]
    })
    return [...headOf(path, root.exists(path), text !== undefined), ...hunks, ''].join('\n')
  })
}

/**
 * What becomes of a file that is written whole, as the hunk of a unified diff. Only the lines that are written are in
 * it: those of the file that is there may hold secrets, in any shape.
 *
 * @param before undefined: there is none
 */
export function textDiff(path: string, before: string | undefined, after: string): string {
  const [old, now] = [linesOf(before ?? ''), linesOf(after)]
  let start = 0
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1
  let [oldEnd, nowEnd] = [old.length, now.length]
  while (oldEnd > start && nowEnd > start && old[oldEnd - 1] === now[nowEnd - 1]) {
    oldEnd -= 1
    nowEnd -= 1
  }
  const range = (end: number): string => `${end === start ? start : start + 1},${end - start}`
  const removed = oldEnd - start
  return [
    ...headOf(path, before !== undefined, true),
    `@@ -${range(oldEnd)} +${range(nowEnd)} @@`,
    ...(removed === 0 ? [] : [`-… (${removed} lines)`]),
    ...now.slice(start, nowEnd).map((line) => `+${line}`),
    '',
  ].join('\n')
}

/** @param isThere the file is there @param isKept it will be */
function headOf(path: string, isThere: boolean, isKept: boolean): readonly string[] {
  return [`--- ${isThere ? `a${path}` : '/dev/null'}`, `+++ ${isKept ? `b${path}` : '/dev/null'}`]
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').slice(0, text.endsWith('\n') || text === '' ? -1 : undefined)
}
