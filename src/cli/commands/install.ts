import { ResolveError } from '../../errors.ts'
import { describeInstall, type InstallOptions, install } from '../../install/install.ts'
import type { KubeletMode } from '../../install/kubelet.ts'
import { withLock } from '../../install/lock.ts'
import { type Node, type NodeOptions, readNode } from '../../install/plan.ts'
import { Root } from '../../install/root.ts'
import { findServiceManager } from '../../install/service-manager.ts'
import { nodeStatus } from '../../install/status.ts'
import { uninstall } from '../../install/uninstall.ts'
import { watchService } from '../../install/watch.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { UsageError } from '../options.ts'
import { colorsFor, type Row, table, withProgress } from '../output.ts'
import { planDirectHosts } from './hosts-plan.ts'

interface NodeCommand {
  /** Of the node's file system, as given. */
  readonly root: string | undefined
  /** Run systemctl there, too. */
  readonly chroot: boolean
  readonly context: CliContext
}

export interface InstallCommand
  extends NodeCommand,
    Pick<NodeOptions, 'config' | 'runtime' | 'secrets'> {
  readonly version: string
  readonly mode: KubeletMode
  readonly restartKubelet: boolean
  readonly dryRun: boolean
  readonly waitMs: number
  /** How long the service may fail before the node is put back; undefined: it is not watched. */
  readonly watchMs: number | undefined
}

/** @throws ConfigError; ResolveError as install() */
export async function installCommand(options: InstallCommand): Promise<number> {
  const { config, context, dryRun, mode, restartKubelet, runtime, secrets, version, waitMs } =
    options
  const { manager, root, ...common } = await open(options)
  if (manager === undefined && (root.isThisMachine || options.chroot)) {
    const how = `run image-resolver --config FILE by what starts services here, and lead kubelet to its \`shim:\``
    const other = 'for a folder with the files of another system use --root DIR'
    throw new ResolveError('UNSUPPORTED', `systemd does not run here: ${how}; ${other}`)
  }
  // An installation that has begun is ended, or put back.
  const ended = new AbortController()
  if (options.watchMs !== undefined) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ended.abort())
  }
  const run = async (): Promise<Node> => {
    const node = await readNode({ root, config, runtime, secrets })
    const hosts = planDirectHosts(node.config.registries)
    const all: InstallOptions = {
      ...common,
      node,
      version,
      hosts,
      mode,
      restartKubelet,
      waitMs,
      manager,
      readiness: (http) => context.readiness(http, root.base),
    }
    if (dryRun) context.stdout.write(await describeInstall(all))
    else await install(all)
    return node
  }
  const { config: installed } = await (dryRun ? run() : withLock(root, run))
  if (options.watchMs === undefined || dryRun) return EXIT.done
  await watchService({
    readiness: () => context.readiness(installed.http, root.base),
    limitMs: options.watchMs,
    putBack: () => uninstallCommand({ ...options, restartKubelet }),
    signal: ended.signal,
    say: common.say,
  })
  return EXIT.done
}

export interface UninstallCommand extends NodeCommand {
  readonly restartKubelet: boolean
}

/** @throws ResolveError as uninstall() */
export async function uninstallCommand(options: UninstallCommand): Promise<number> {
  const { restartKubelet } = options
  const { root, ...common } = await open(options)
  const isWhole = await withLock(root, () => uninstall({ ...common, root, restartKubelet }))
  return isWhole ? EXIT.done : EXIT.failed
}

export interface StatusCommand extends NodeCommand {
  readonly json: boolean
}

/** @throws ConfigError */
export async function nodeStatusCommand(options: StatusCommand): Promise<number> {
  const { context, json } = options
  const { manager, root } = await open(options)
  const { config } = await readNode({ root })
  const status = await nodeStatus({
    root,
    socket: config.shim,
    http: config.http,
    manager,
    readiness:
      root.isThisMachine || options.chroot
        ? (http) => context.readiness(http, root.base)
        : undefined,
  })
  const { stdout } = context
  if (json) stdout.write(`${JSON.stringify(status, null, 2)}\n`)
  else stdout.write(statusText(status, context))
  return status.problems.length === 0 ? EXIT.done : EXIT.failed
}

function statusText(status: Awaited<ReturnType<typeof nodeStatus>>, context: CliContext): string {
  const { changed, hosts, installed, kubelet, problems, running, units } = status
  const endpoint = (setting: { readonly value: string; readonly file: string } | null): string =>
    setting === null ? 'not set' : `${setting.value} (${setting.file})`
  const rows: readonly (readonly [string, string])[] = [
    ['installed', installed === null ? 'no' : `${installed.version}, by ${installed.by}`],
    [
      'running',
      running === null
        ? 'no'
        : `${running.version ?? 'unknown'}, ${running.ready ? 'ready' : 'not ready'}`,
    ],
    ...Object.entries(units ?? {}).map(([unit, state]) => [unit, state] as const),
    ...(kubelet === null
      ? [['kubelet', 'not found'] as const]
      : [
          [
            kubelet.unit,
            kubelet.leads === null ? 'does not lead here' : `leads here: ${kubelet.leads}`,
          ] as const,
          ['image endpoint', endpoint(kubelet.imageEndpoint)] as const,
          ['runtime endpoint', endpoint(kubelet.runtimeEndpoint)] as const,
        ]),
    ...hosts.map((path) => ['hosts.toml', path] as const),
    ...changed.map((path) => ['changed since', path] as const),
  ]
  const colors = colorsFor(context.stdout, context.environment)
  const lines: readonly Row[] = rows.map(([name, text]) => ({ cells: [name, text] }))
  const shown = table([{ title: 'WHAT' }, { title: 'STATE' }], lines, colors)
  return shown + problems.map((problem) => `problem: ${problem}\n`).join('')
}

async function open({ chroot, context, root: folder = '/' }: NodeCommand) {
  const { environment, every, stderr, stdout } = context
  const root = new Root(folder)
  if (chroot && root.isThisMachine) throw new UsageError('--chroot needs --root DIR')
  if (process.geteuid?.() !== 0 && root.isThisMachine) {
    throw new ResolveError('DENIED', 'it is about files of the system: run it as root')
  }
  return {
    root,
    manager: await findServiceManager(root, chroot),
    say: (line: string) => void stdout.write(`${line}\n`),
    waiting: <T>(what: string, work: Promise<T>) =>
      withProgress(what, work, { stderr, environment, every }),
  }
}
