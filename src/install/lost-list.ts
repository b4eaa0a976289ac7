import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import { fileState, lookAt } from './files.ts'
import { findKubelet, type Kubelet, leads, pathOf, type Setting } from './kubelet.ts'
import { leadKubelet } from './kubelet-edits.ts'
import { type About, BEFORE, type Change, INSTALLED, type Part, PENDING, STATE } from './lists.ts'
import {
  CACHE,
  COMMAND,
  CURRENT,
  HOME,
  MARK,
  PACKAGE_UNITS,
  UNIT_FOLDER,
  UNITS,
  VERSIONS,
  wantOf,
} from './program.ts'
import type { PlannedFile, Root, TextFile } from './root.ts'
import { filesBelow, SECRETS } from './secrets.ts'

/** What an installation with a lost list has left. */
export interface Remains {
  /** false: kubelet leads to the service, and may do so by hand. */
  readonly isInstalled: boolean
  readonly about: About
  /** The version that is installed, where it is known. */
  readonly version: string | undefined
  /** What can be put back: copies beside files, and what install alone makes. */
  readonly changes: readonly Change[]
  /** What cannot, for people. */
  readonly notes: readonly string[]
}

/** When it was changed is not known: a kubelet that runs may use the service. */
const EVER = new Date(0).toISOString()

/** The socket of the service's unit. */
export function unitSocket(root: Root): string | undefined {
  const texts = [UNIT_FOLDER, PACKAGE_UNITS].map((folder) => root.text(`${folder}/${UNITS[1]}`))
  return /^ListenStream=(\S+)/m.exec(texts.find((text) => text !== undefined) ?? '')?.[1]
}

/**
 * Looks for an installation without a list.
 *
 * @param service its socket, and the hosts.toml files that it would write; undefined: not known yet
 * @returns undefined where there is a list, or nothing that one would be needed for
 */
export function remainsOf(
  root: Root,
  service?: { readonly socket: string; readonly hosts: readonly TextFile[] },
): Remains | undefined {
  if (root.exists(INSTALLED) || root.exists(PENDING)) return undefined
  const sockets = [...new Set([unitSocket(root) ?? [], service?.socket ?? []].flat())]
  const kubelet = findKubelet(root)
  const led = [kubelet?.images, kubelet?.runtime].flatMap((setting) =>
    setting !== undefined && sockets.some((each) => leads(setting, each)) ? setting : [],
  )
  const isOurs = UNITS.some((name) => hasMark(root, `${UNIT_FOLDER}/${name}`))
  if (led.length === 0 && !isOurs) return undefined
  const { changes, runtime } = kubeletRemains(root, kubelet, led, sockets)
  const known = changes.map(({ path }) => path)
  const unknown = led.filter(({ file }) => !known.includes(root.real(file)))
  const program = lookAt(root.outside(CURRENT, false))
  const own = ownRemains(root, isOurs, service?.hosts ?? [])
  const isInstalled = isOurs || changes.length > 0
  return {
    isInstalled,
    about: {
      kubeletAt: led.length > 0 ? EVER : null,
      kubeletLastAt: null,
      kubeletBackAt: null,
      sockets,
      runtime: runtime ?? null,
    },
    version: program?.kind === 'link' ? /^versions\/(.+)-/.exec(program.target)?.[1] : undefined,
    changes: [...changes, ...own],
    notes: [
      isInstalled
        ? `${INSTALLED}, the list of what was installed, is lost, and is made again from what is there: uninstall will leave the service's configuration`
        : 'kubelet leads to the service already, and not by an install that is known',
      ...unknown.map(
        ({ file, line, value }) =>
          `${file}:${line}: what stood there before ${value} is not known; uninstall will set it to the runtime's own socket`,
      ),
    ],
  }
}

function hasMark(root: Root, path: string): boolean {
  return root.text(path)?.startsWith(MARK) === true
}

/** kubelet's files that a copy of before is beside, or that install alone writes. */
function kubeletRemains(
  root: Root,
  kubelet: Kubelet | undefined,
  led: readonly Setting[],
  sockets: readonly string[],
): { readonly changes: readonly Change[]; readonly runtime: string | undefined } {
  const originals = [...new Set(led.map(({ file }) => root.real(file)))].flatMap(
    (path): readonly PlannedFile[] => {
      const text = root.text(`${path}${BEFORE}`)
      return text !== undefined || hasMark(root, path) ? [{ path, text }] : []
    },
  )
  const before = findKubelet(root.with(...originals))
  const isLed = sockets.some((socket) => leads(before?.runtime, socket))
  const runtime = before?.runtime && !isLed ? pathOf(before.runtime.value) : undefined
  const which = led.some((setting) => setting === kubelet?.runtime) ? 'all' : 'images'
  const earlier = { originals, sockets, runtime }
  const socket = pathOf(led[0]?.value ?? '')
  const written = tried(() => leadKubelet(root, which, socket, earlier))
  if (written === undefined) return { changes: [], runtime }
  const changes = originals.flatMap(({ path }): readonly Change[] => {
    const now = lookAt(root.outside(path))
    if (now?.kind !== 'file') return []
    // What others have written since is no more than that: such a file is left, and told with its copy.
    const other = written.find((file) => root.real(file.path) === path)?.text
    const { gid, mode, uid } = now
    const after = other === undefined ? now : fileState(Buffer.from(other), { mode, uid, gid })
    return [{ path, part: 'kubelet', ...beforeOf(root, path), after }]
  })
  return { changes, runtime }
}

/** @returns undefined where kubelet's files are not as an installation leaves them */
function tried<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (thrown) {
    if (thrown instanceof ResolveError) return undefined
    throw thrown
  }
}

function beforeOf(root: Root, path: string): Pick<Change, 'before' | 'backup'> {
  const backup = `${path}${BEFORE}`
  const before = lookAt(root.outside(backup, false))
  return before?.kind === 'file' ? { before, backup } : { before: null }
}

/** @param isOurs the units are of install, and so is the rest */
function ownRemains(root: Root, isOurs: boolean, hosts: readonly TextFile[]): readonly Change[] {
  const changes: Change[] = []
  const claim = (path: string, part: Part, isWhole = false): void => {
    const after = lookAt(root.outside(path, false))
    if (after === undefined) return
    const whole = isWhole ? ({ whole: true } as const) : {}
    changes.push({ path: root.real(path, false), part, ...beforeOf(root, path), after, ...whole })
  }
  const isLink = (path: string, target: RegExp): boolean => {
    const state = lookAt(root.outside(path, false))
    return state?.kind === 'link' && target.test(state.target)
  }
  if (isOurs || !root.exists(STATE)) {
    const after = { kind: 'folder' } as const
    changes.push({ path: STATE, part: 'state', before: null, after })
  }
  if (!isOurs) return changes
  claim(CACHE, 'state', true)
  for (const path of [HOME, VERSIONS]) claim(path, 'program')
  for (const path of root.list(VERSIONS, '')) {
    if (/-[\da-f]{12}$/.test(path)) claim(path, 'program', true)
  }
  if (isLink(CURRENT, /^versions\//)) claim(CURRENT, 'program')
  if (isLink(COMMAND, new RegExp(`^${CURRENT}/`))) claim(COMMAND, 'program')
  const secrets = root.isFolder(SECRETS) ? filesBelow(root, SECRETS) : []
  const folders = ['/etc/image-resolver', SECRETS, ...secrets.map((path) => posix.dirname(path))]
  for (const path of new Set([...folders, ...secrets])) claim(path, 'config')
  for (const { path, text } of hosts) {
    if (root.text(path) !== text) continue
    claim(posix.dirname(path), 'hosts')
    claim(path, 'hosts')
  }
  for (const name of UNITS) {
    if (hasMark(root, `${UNIT_FOLDER}/${name}`)) claim(`${UNIT_FOLDER}/${name}`, 'unit')
    if (isLink(wantOf(name), new RegExp(`^${UNIT_FOLDER}/`))) claim(wantOf(name), 'unit')
  }
  return changes
}
