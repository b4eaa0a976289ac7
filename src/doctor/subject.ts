import type { Environment } from '../config/config.ts'
import { type ContainerdConfig, readContainerdConfig } from '../config/containerd-config.ts'
import { ConfigError, type ConfigProblem, formatProblem } from '../config/diagnostics.ts'
import { findConfigFile, readConfigFile } from '../config/files.ts'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import { ConfigMapReader } from '../config/sources/image-cri-shim.ts'
import { detectRuntime, isSameSocket } from '../config/values.ts'
import { findKubelet, type Kubelet, pathOf } from '../install/kubelet.ts'
import { isDenied, type Machine } from './machine.ts'

/** `error`: pulls fail or pass this service by, or a program does not start. `warning`: not yet. */
export type Severity = 'error' | 'warning'

/** What stands in the way. */
export interface Finding {
  /** The name of the check. */
  readonly check: string
  readonly area: string
  readonly severity: Severity
  readonly file: string | null
  /** From 1; null: it is about the whole file, or none. */
  readonly line: number | null
  readonly problem: string
  readonly consequence: string
  readonly mend: string
}

/** What a check says. */
export interface Found {
  readonly severity: Severity
  readonly file?: string
  readonly line?: number
  readonly problem: string
  readonly consequence: string
  readonly mend: string
}

export type RuntimeKind = 'containerd' | 'k3s' | 'CRI-O' | 'cri-dockerd'

/** What the checks look at, read once. */
export interface Subject {
  readonly machine: Machine
  /** No registry is asked, and no other network. */
  readonly offline: boolean
  /** The service's configuration; undefined: none was found, or it cannot be used. */
  readonly loaded: LoadedConfig | undefined
  readonly configFile: string | undefined
  readonly configProblems: readonly ConfigProblem[]
  readonly runtime: { readonly kind: RuntimeKind; readonly socket: string } | undefined
  /** Of containerd's runtimes, also where its file is not there. */
  readonly containerd: ContainerdConfig | undefined
  readonly containerdFile: string
  readonly kubelet: Kubelet | undefined
  /** Why something could not be read. */
  readonly unread: readonly string[]
  readonly now: () => number
}

export interface SubjectOptions {
  readonly machine: Machine
  readonly file: string | undefined
  readonly portoshim?: string | undefined
  readonly offline: boolean
  readonly environment: Environment
  readonly now: () => number
}

export const CONTAINERD_FILE = '/etc/containerd/config.toml'
const RANCHERS = ['k3s', 'rke2'] as const

/** Of a failure, one line. */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof ConfigError) {
    return thrown.problems.map((problem) => formatProblem(thrown.file, problem)).join('; ')
  }
  return (thrown instanceof Error ? thrown.message : String(thrown)).split('\n', 1)[0] ?? ''
}

/** Never rejects: what cannot be read is among `unread`. */
export async function readSubject(options: SubjectOptions): Promise<Subject> {
  const { machine, now, offline } = options
  const { files, root } = machine
  const unread: string[] = []
  const orUnread = async <T>(work: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await work()
    } catch (thrown) {
      if (!machine.isNoted(thrown)) unread.push(reasonOf(thrown))
      return undefined
    }
  }
  const own = await readOwnConfig(options)
  const kubelet = await orUnread(() => findKubelet(root))
  const runtime = runtimeOf(own.loaded, kubelet, machine)
  const containerdFile = containerdFileOf(runtime?.kind, machine)
  const isContainerd = runtime?.kind === 'containerd' || runtime?.kind === 'k3s'
  const containerd = isContainerd
    ? await orUnread(() => readContainerdConfig(containerdFile, files))
    : undefined
  return { ...own, machine, offline, runtime, containerd, containerdFile, kubelet, unread, now }
}

type OwnConfig = Pick<Subject, 'loaded' | 'configFile' | 'configProblems'>

async function readOwnConfig(options: SubjectOptions): Promise<OwnConfig> {
  const { environment, file, machine, offline, portoshim } = options
  // Of a file that is not there it says so in its words.
  const read = async (path: string): Promise<string> =>
    (await machine.files.read(path)) ?? readConfigFile(machine.path(path))
  const found = await findConfigFile(file, async (path) => machine.root.exists(path))
  const notAsked = async () => {
    throw new Error('not asked, since --offline or --root was given')
  }
  try {
    const loaded = await loadConfig({
      file: found,
      portoshim,
      read,
      hosts: machine.files,
      socketExists: (path) => machine.root.isSocket(path),
      env: machine.root.isThisMachine ? environment : {},
      ...(offline && { configMaps: new ConfigMapReader({ get: notAsked }) }),
    })
    return { loaded, configFile: found, configProblems: [] }
  } catch (thrown) {
    if (isDenied(thrown)) return { loaded: undefined, configFile: found, configProblems: [] }
    if (thrown instanceof ConfigError) {
      // Where it could not be read, the path is the one of this process.
      const { base } = machine.root
      const configFile = thrown.file.startsWith(base) ? thrown.file.slice(base.length) : thrown.file
      return { loaded: undefined, configFile, configProblems: thrown.problems }
    }
    const problem = { line: 0, path: '', message: reasonOf(thrown) }
    return { loaded: undefined, configFile: found, configProblems: [problem] }
  }
}

/** The one that the service asks; else kubelet's, unless that is a shim; else the one that has files here. */
function runtimeOf(
  loaded: LoadedConfig | undefined,
  kubelet: Kubelet | undefined,
  { root }: Machine,
): Subject['runtime'] {
  const shims = [loaded?.config.shim, SEALOS_SOCKET].filter((each) => each !== undefined)
  const endpoint = kubelet?.runtime === undefined ? undefined : pathOf(kubelet.runtime.value)
  const isShim = endpoint !== undefined && shims.some((shim) => isSameSocket(shim, endpoint))
  const socket =
    loaded?.config.cri ??
    (isShim ? undefined : endpoint) ??
    detectRuntime((path) => root.isSocket(path)) ??
    FOLDERS.find(([folder]) => root.exists(folder))?.[1]
  const kind =
    socket === undefined ? undefined : KINDS.find(([known]) => isSameSocket(known, socket))
  if (socket === undefined || kind === undefined) return undefined
  return { kind: kind[1], socket }
}

/** Of image-cri-shim, and of this service by default. */
export const SEALOS_SOCKET = '/var/run/image-cri-shim.sock'

export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock'

const KINDS: readonly (readonly [socket: string, kind: RuntimeKind])[] = [
  [CONTAINERD_SOCKET, 'containerd'],
  ['/run/k3s/containerd/containerd.sock', 'k3s'],
  ['/run/crio/crio.sock', 'CRI-O'],
  ['/run/cri-dockerd.sock', 'cri-dockerd'],
]
const FOLDERS: readonly (readonly [folder: string, socket: string])[] = [
  ['/var/lib/rancher/k3s', '/run/k3s/containerd/containerd.sock'],
  ['/var/lib/rancher/rke2', '/run/k3s/containerd/containerd.sock'],
  ['/etc/crio', '/run/crio/crio.sock'],
  [CONTAINERD_FILE, CONTAINERD_SOCKET],
]

function containerdFileOf(kind: RuntimeKind | undefined, { root }: Machine): string {
  if (kind !== 'k3s') return CONTAINERD_FILE
  const files = RANCHERS.map((name) => `/var/lib/rancher/${name}/agent/etc/containerd/config.toml`)
  return files.find((file) => root.exists(file)) ?? CONTAINERD_FILE
}
