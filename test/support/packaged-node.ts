import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describeInstall, describeUninstall } from '../../src/install/dry-run.ts'
import { type InstallOptions, install } from '../../src/install/install.ts'
import type { KubeletMode } from '../../src/install/kubelet.ts'
import { readNode } from '../../src/install/plan.ts'
import { Root } from '../../src/install/root.ts'
import { type UninstallOptions, uninstall } from '../../src/install/uninstall.ts'

export const CONTAINERD = '/run/containerd/containerd.sock'
const VERSION = '1.0.0'

/** kubelet of kubeadm, with the files of its environment that a unit of pkgs.k8s.io names. */
export const KUBEADM_FILES = {
  '/usr/lib/systemd/system/kubelet.service': `[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`,
  '/var/lib/kubelet/kubeadm-flags.env': `KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix://${CONTAINERD}"\n`,
  '/var/lib/kubelet/config.yaml':
    'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n',
}

interface InstallAs
  extends Partial<Pick<InstallOptions, 'hosts' | 'manager' | 'readiness' | 'restartKubelet'>> {
  readonly mode?: KubeletMode
  readonly secrets?: string
  readonly waitMs?: number
}

type UninstallAs = Partial<Pick<UninstallOptions, 'manager' | 'restartKubelet'>>

/** A root with the program as a package has it, so that an installation is of small files alone. */
export interface PackagedNode {
  readonly root: Root
  /** What was said since the last call. */
  said(): readonly string[]
  write(path: string, text: string): void
  read(path: string): string
  /** Writes the service's configuration. */
  configure(value: object): void
  install(as?: InstallAs): Promise<void>
  /** What that would do. */
  describe(as?: InstallAs): Promise<string>
  uninstall(as?: UninstallAs): Promise<boolean>
  /** What that would do. */
  describeUninstall(as?: UninstallAs): Promise<string>
  /** Every path with kind, mode and content. */
  snapshot(): readonly string[]
}

/** @param folder an empty one */
export function packagedNode(
  folder: string,
  files: Readonly<Record<string, string>>,
): PackagedNode {
  const root = new Root(folder)
  const lines: string[] = []
  const options = {
    say: (line: string) => void lines.push(line),
    waiting: <T>(_what: string, work: Promise<T>) => work,
    manager: undefined,
    restartKubelet: false,
  }
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(root.outside(path)), { recursive: true })
    writeFileSync(root.outside(path), text)
  }
  const configure = (value: object): void =>
    write('/etc/image-resolver.yaml', JSON.stringify({ address: 'http://hub.corp:5000', ...value }))
  write('/usr/lib/systemd/system/image-resolver.service', '[Service]\n')
  write('/usr/lib/image-resolver/package.json', JSON.stringify({ version: VERSION }))
  configure({})
  mkdirSync(root.outside('/var/lib'), { recursive: true })
  for (const [path, text] of Object.entries(files)) write(path, text)
  const optionsOf = async ({ secrets, ...as }: InstallAs = {}): Promise<InstallOptions> => ({
    ...options,
    node: await readNode({ root, secrets }),
    version: VERSION,
    hosts: [],
    mode: 'images',
    waitMs: 0,
    readiness: async () => ({ isReady: true, reason: '', version: VERSION }),
    ...as,
  })
  return {
    root,
    said: () => lines.splice(0),
    write,
    read: (path) => readFileSync(root.outside(path), 'utf8'),
    configure,
    install: async (as) => install(await optionsOf(as)),
    describe: async (as) => describeInstall(await optionsOf(as)),
    uninstall: (as) => uninstall({ ...options, root, ...as }),
    describeUninstall: (as) => describeUninstall({ ...options, root, ...as }),
    snapshot: () => snapshot(root.base),
  }
}

/** Every path below a folder with kind, mode and content. */
export function snapshot(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(folder, name)
      const stats = lstatSync(path)
      const content = stats.isFile()
        ? readFileSync(path, 'utf8')
        : stats.isSymbolicLink()
          ? readlinkSync(path)
          : ''
      return `${name} ${stats.mode.toString(8)} ${content}`
    })
}
