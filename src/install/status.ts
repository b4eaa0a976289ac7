import type { HttpConfig } from '../config/config.ts'
import { needsRestart, type Readiness } from './install.ts'
import { Journal } from './journal.ts'
import { findKubelet, type Kubelet, type KubeletMode, leadingTo, type Setting } from './kubelet.ts'
import { remainsOf } from './lost-list.ts'
import { packagedVersion, UNITS } from './program.ts'
import type { Root } from './root.ts'
import { activeState, type ServiceManager } from './service-manager.ts'

/** What `image-resolver status --json` prints. */
export interface NodeStatus {
  /** Version and origin of the program on this node; null: there is none. */
  readonly installed: {
    readonly version: string
    readonly by: 'install' | 'package'
    readonly at: string | null
  } | null
  /** A run of install or uninstall did not end; the next one continues it. */
  readonly interrupted: boolean
  /** Of the service that answers; null: none does. */
  readonly running: {
    readonly version: string | null
    readonly ready: boolean
    readonly reason: string
  } | null
  /** systemd's words; null: systemd is not asked. */
  readonly units: Readonly<Record<string, string>> | null
  readonly kubelet: {
    readonly unit: string
    /** The program that the unit starts instead of kubelet; its flags for endpoints are not seen. null: none. */
    readonly wrapper: string | null
    /** Which calls lead to the service; null: none. */
    readonly leads: KubeletMode | null
    /** null: it follows the runtime's. */
    readonly imageEndpoint: Omit<Setting, 'at'> | null
    readonly runtimeEndpoint: Omit<Setting, 'at'> | null
    /** It was started before its files were changed. */
    readonly needsRestart: boolean
  } | null
  /** containerd's files. */
  readonly hosts: readonly string[]
  /** Files that others have changed since. */
  readonly changed: readonly string[]
  /** What is not as it should be, one line each. */
  readonly problems: readonly string[]
}

interface StatusOptions {
  readonly root: Root
  /** The service's CRI socket. */
  readonly socket: string
  readonly http: HttpConfig
  readonly manager: ServiceManager | undefined
  /** undefined: of files alone. */
  readonly readiness: ((http: HttpConfig) => Promise<Readiness>) | undefined
}

/** What an installation comes to on this node. */
export async function nodeStatus(options: StatusOptions): Promise<NodeStatus> {
  const { manager, root, socket } = options
  const journal = new Journal(root)
  const installed = installedOn(root, journal)
  const found = findKubelet(root)
  const remains = remainsOf(root, { socket, hosts: [] })
  const answer = await options.readiness?.(options.http)
  const units =
    manager === undefined
      ? null
      : Object.fromEntries(
          await Promise.all(UNITS.map(async (unit) => [unit, await activeState(manager, unit)])),
        )
  const leads = found === undefined ? undefined : leadingTo(found, socket)
  const isStale = manager !== undefined && (await needsRestart(journal, found, manager))
  const { isReady: ready = false, reason = '', version } = answer ?? {}
  const isAnswering = ready || version !== undefined
  const changes = journal.installed?.changes ?? []
  const changed = changes.filter(({ path }) => journal.isForeign(path)).map(({ path }) => path)
  const problems = [
    ...(installed === null ? ['image-resolver is not installed here'] : []),
    ...(remains?.isInstalled !== true
      ? []
      : [
          'the list of what was installed is lost: run image-resolver install, which makes it again',
        ]),
    ...(journal.pending.length > 0
      ? ['a run of install did not end: run install or uninstall again']
      : []),
    ...(ready || answer === undefined
      ? []
      : [
          isAnswering
            ? `the service is not ready: ${reason}`
            : `the service does not answer: ${reason}`,
        ]),
    ...(isAnswering && installed !== null && version !== undefined && version !== installed.version
      ? [`version ${version} runs, and ${installed.version} is installed: restart ${UNITS[0]}`]
      : []),
    ...(found === undefined || leads !== undefined
      ? []
      : [`kubelet does not lead to ${socket}${behind(found)}: run image-resolver install`]),
    ...(isStale && leads !== undefined ? [`${found?.unit} has to be restarted`] : []),
  ]
  return {
    installed,
    interrupted: journal.pending.length > 0,
    running: isAnswering ? { version: version ?? null, ready, reason } : null,
    units,
    kubelet:
      found === undefined
        ? null
        : {
            unit: found.unit,
            wrapper: found.wrapper?.program ?? null,
            leads: leads ?? null,
            imageEndpoint: shown(found.images),
            runtimeEndpoint: shown(found.runtime),
            needsRestart: isStale,
          },
    hosts: changes
      .filter(({ part, after }) => part === 'hosts' && after?.kind === 'file')
      .map(({ path }) => path),
    changed,
    problems,
  }
}

function behind({ wrapper }: Kubelet): string {
  return wrapper === undefined ? '' : `, as far as can be seen: its unit starts ${wrapper.program}`
}

function shown(setting: Setting | undefined): Omit<Setting, 'at'> | null {
  if (setting === undefined) return null
  const { at, ...rest } = setting
  return rest
}

function installedOn(root: Root, { installed }: Journal): NodeStatus['installed'] {
  const packaged = packagedVersion(root)
  if (packaged !== undefined) return { version: packaged, by: 'package', at: installed?.at ?? null }
  return installed === undefined
    ? null
    : { version: installed.version, by: 'install', at: installed.at }
}
