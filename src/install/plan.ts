import { posix } from 'node:path'
import type { Config } from '../config/config.ts'
import { readConfigFile } from '../config/files.ts'
import { loadConfig } from '../config/load.ts'
import { isSameSocket } from '../config/values.ts'
import { ResolveError } from '../errors.ts'
import type { Journal } from './journal.ts'
import { findKubelet, type Kubelet, leads, pathOf, RANCHER_SOCKET } from './kubelet.ts'
import { aboutIn, INSTALLED, type Part, PENDING, readList } from './lists.ts'
import { remainsOf } from './lost-list.ts'
import {
  CACHE,
  COMMAND,
  CURRENT,
  checkRoom,
  newConfig,
  ownProgram,
  type Program,
  packagedUnit,
  packagedVersion,
  UNIT_FOLDER,
  UNITS,
  unitText,
  VERSIONS,
  wantOf,
} from './program.ts'
import type { Root, TextFile } from './root.ts'
import { readSecrets } from './secrets.ts'

const CONFIG_FILES = ['/etc/image-resolver.yaml', '/etc/image-cri-shim.yaml'] as const
/** The arguments of the kubelet in kubelite. */
const MICROK8S = '/var/snap/microk8s/current/args/kubelet'
const CERTS = '/etc/containerd/certs.d'

/** One file, link or folder that an installation has. */
export type Step =
  | {
      readonly kind: 'file'
      readonly path: string
      readonly text: string
      readonly part: Part
      readonly mode?: number
      readonly isSecret?: boolean
    }
  | { readonly kind: 'link'; readonly path: string; readonly target: string; readonly part: Part }
  | {
      readonly kind: 'program'
      readonly path: string
      readonly program: Program
      readonly part: Part
    }
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number; readonly part: Part }

/** What is known of a node before something is changed. */
export interface Node {
  readonly root: Root
  readonly config: Config
  /** Of the service, on the node. */
  readonly configFile: string
  /** What is to be written there; undefined: it stays as it is. */
  readonly configText: string | undefined
  /** It may hold secrets. */
  readonly isGiven: boolean
  readonly kubelet: Kubelet | undefined
  /** The runtime's socket; undefined: none was found. */
  readonly runtime: string | undefined
  /** For the configuration to name; undefined: nothing is known of them. */
  readonly secrets: readonly TextFile[] | undefined
  /** What the operator should know of it. */
  readonly notes: readonly string[]
}

export interface NodeOptions {
  readonly root: Root
  /** A configuration that becomes the service's; undefined: that of the node, or a new one. */
  readonly config?: string | undefined
  /** The runtime's socket, where it is not to be looked for. */
  readonly runtime?: string | undefined
  /** A folder with files that go to the node; undefined: those that are there stay. */
  readonly secrets?: string | undefined
}

/**
 * Looks at a node: its kubelet, its runtime, and the service's configuration, which has to be usable.
 *
 * @throws ConfigError; ResolveError CONFIG_INVALID
 */
export async function readNode(options: NodeOptions): Promise<Node> {
  const { root, config: given, runtime } = options
  const kubelet = findKubelet(root)
  const there = CONFIG_FILES.find((path) => root.exists(path))
  const isGiven = given !== undefined && !isSameFile(root, given)
  const configFile = isGiven ? CONFIG_FILES[0] : (there ?? CONFIG_FILES[0])
  const isKept = !isGiven && there !== undefined
  const found = runtime === undefined ? runtimeOf(root, kubelet) : pathOf(runtime)
  const text = isGiven ? await readConfigFile(given) : (root.text(configFile) ?? newConfig(found))
  const { config } = await loadConfig({
    file: configFile,
    read: async (file) => (file === configFile ? text : readConfigFile(root.outside(file))),
    socketExists: (path) => root.isSocket(path),
  })
  // kubelet may lead to the service already.
  const isOwn = found !== undefined && isSameSocket(found, config.shim)
  if (isOwn) checkShim({ file: isGiven ? given : configFile, config, runtime, found })
  const cri = isOwn || found === undefined ? config.cri : found
  const differs = config.cri !== undefined && cri !== undefined && !isSameSocket(config.cri, cri)
  return {
    root,
    config,
    configFile,
    configText: isKept ? undefined : text,
    isGiven,
    kubelet,
    runtime: cri,
    secrets: options.secrets === undefined ? undefined : readSecrets(options.secrets),
    notes: [
      ...(differs
        ? [`${configFile}: cri: is ${config.cri}, and the runtime of this node is at ${cri}`]
        : []),
      ...(kubelet?.wrapper === undefined ? [] : [wrapperNote(kubelet.wrapper)]),
      ...(kubelet === undefined ? [kubeletNote(root, config.shim)] : []),
    ],
  }
}

function kubeletNote(root: Root, socket: string): string {
  const what = 'no kubelet that systemd starts was found: pulls of pods stay as they are'
  if (!root.exists(MICROK8S)) return what
  const how = `add --image-service-endpoint=unix://${socket} to ${MICROK8S} by hand, and restart snap.microk8s.daemon-kubelite`
  const runtime = 'its runtime is --runtime-endpoint /var/snap/microk8s/common/run/containerd.sock'
  return `${what}; that of microk8s is not led by install: ${how}; ${runtime}`
}

function wrapperNote({ file, line, program }: NonNullable<Kubelet['wrapper']>): string {
  const what = `${file}:${line}: the unit starts ${program}, not kubelet`
  return `${what}: a flag that it sets for an endpoint counts, and is not seen here`
}

/** systemd would take the socket of the shim from the program that listens there. */
function checkShim(about: {
  readonly file: string
  readonly config: Config
  /** As the operator says. */
  readonly runtime: string | undefined
  readonly found: string
}): void {
  const { config, file, found, runtime } = about
  const { cri, shim } = config
  const isElsewhere = cri !== undefined && !isSameSocket(cri, shim)
  if (runtime === undefined && isElsewhere) return
  const what = `shim: ${shim} is the socket of the runtime itself, ${found}`
  throw new ResolveError('CONFIG_INVALID', `${file}: ${what}; name another one for the service`)
}

function isSameFile(root: Root, given: string): boolean {
  return root.isThisMachine && CONFIG_FILES.some((path) => root.real(path) === root.real(given))
}

/** An earlier installation may have led kubelet to the service with every call. */
function runtimeOf(root: Root, kubelet: Kubelet | undefined): string | undefined {
  const written = kubelet?.runtime
  const { runtime, sockets } =
    remainsOf(root)?.about ?? aboutIn(readList(root, INSTALLED), readList(root, PENDING))
  if (sockets.some((socket) => leads(written, socket))) return runtime ?? undefined
  if (written !== undefined) return pathOf(written.value)
  const isRancher = kubelet !== undefined && kubelet.distribution !== 'kubelet'
  return isRancher && !root.exists('/run/containerd/containerd.sock') ? RANCHER_SOCKET : undefined
}

export interface PlanOptions {
  readonly node: Node
  readonly journal: Journal
  readonly version: string
  /** containerd's hosts.toml files, by folder below `config_path`. */
  readonly hosts: readonly { readonly name: string; readonly text: string }[]
}

/**
 * What an installation consists of, but for kubelet's files; also what is there already.
 *
 * @throws ResolveError DENIED where a package has another version, or the disk has no room
 */
export function planInstall(options: PlanOptions): {
  readonly steps: readonly Step[]
  readonly notes: readonly string[]
} {
  const { journal, node, version } = options
  const { config, configFile, configText, isGiven, root } = node
  const packaged = packagedVersion(root)
  if (packaged !== undefined && packaged !== version) {
    const how = `a package has installed ${packaged}, and this is ${version}`
    throw new ResolveError('DENIED', `${how}: upgrade or remove that package`)
  }
  const isPackaged = packaged !== undefined
  const program = isPackaged ? undefined : ownProgram(version)
  if (program !== undefined && !root.exists(`${VERSIONS}/${program.name}`)) checkRoom(root, program)
  const mode = isGiven ? 0o600 : 0o644
  const hosts = hostsSteps(options)
  const all: readonly Step[] = [
    ...(program === undefined ? [] : programSteps(root, journal, program)),
    ...(configText === undefined
      ? []
      : [
          {
            kind: 'file',
            path: configFile,
            text: configText,
            part: 'config',
            mode,
            isSecret: isGiven,
          } as const,
        ]),
    ...(node.secrets ?? []).map(
      (file) => ({ kind: 'file', ...file, part: 'config', mode: 0o600, isSecret: true }) as const,
    ),
    { kind: 'folder', path: CACHE, mode: 0o700, part: 'state' },
    ...hosts.steps,
    ...unitSteps(isPackaged, configFile, config.shim),
  ]
  // The program's link is turned in any case.
  const isKept = ({ kind, path }: Step): boolean => kind === 'file' && journal.isForeign(path)
  return {
    steps: all.filter((step) => !isKept(step)),
    notes: [
      ...hosts.notes,
      ...all
        .filter(isKept)
        .map(({ path }) => `${path} was changed since it was written, and stays`),
    ],
  }
}

function programSteps(root: Root, journal: Journal, program: Program): readonly Step[] {
  const path = `${VERSIONS}/${program.name}`
  const target = `versions/${program.name}`
  const bin = posix.dirname(COMMAND)
  const isFree = root.exists(bin) && (!root.exists(COMMAND) || journal.isOwn(COMMAND))
  return [
    { kind: 'program', path, program, part: 'program' },
    { kind: 'link', path: CURRENT, target, part: 'program' },
    ...(isFree
      ? [
          {
            kind: 'link',
            path: COMMAND,
            target: `${CURRENT}/bin/image-resolver`,
            part: 'program',
          } as const,
        ]
      : []),
  ]
}

function unitSteps(isPackaged: boolean, config: string, socket: string): readonly Step[] {
  return UNITS.flatMap((name) => {
    const path = `${UNIT_FOLDER}/${name}`
    const text = isPackaged ? '' : unitText(name, config, socket)
    const target = isPackaged ? packagedUnit(name) : path
    return [
      ...(isPackaged ? [] : [{ kind: 'file', path, text, part: 'unit' } as const]),
      { kind: 'link', path: wantOf(name), target, part: 'unit' },
    ]
  })
}

function hostsSteps({ hosts, journal, node }: PlanOptions): {
  readonly steps: readonly Step[]
  readonly notes: readonly string[]
} {
  const { root, runtime } = node
  const isContainerd =
    runtime !== undefined && isSameSocket(runtime, '/run/containerd/containerd.sock')
  if (!isContainerd) return { steps: [], notes: [] }
  const files = hostsFiles(hosts)
  const isOthers = (path: string): boolean => root.exists(path) && !journal.isOwn(path)
  return {
    steps: files
      .filter(({ path }) => !isOthers(path))
      .map(({ path, text }) => ({ kind: 'file', path, text, part: 'hosts' })),
    notes: files.flatMap(({ path }) =>
      isOthers(path) ? [`${path} is not of image-resolver, and stays as it is`] : [],
    ),
  }
}

export function hostsFiles(hosts: PlanOptions['hosts']): readonly TextFile[] {
  return hosts.map(({ name, text }) => ({ path: `${CERTS}/${name}/hosts.toml`, text }))
}

/** Does a step. @returns whether something changed */
export function doStep(journal: Journal, step: Step): boolean {
  const { part, path } = step
  switch (step.kind) {
    case 'file':
      return journal.write(path, step.text, part, step.mode)
    case 'link':
      return journal.link(path, step.target, part)
    case 'program':
      return journal.tree(path, step.program.files, part)
    case 'folder':
      return journal.folder(path, part, { mode: step.mode, whole: true })
  }
}
