import { VERSION } from '../../../api/version.ts'
import { ResolveError } from '../../errors.ts'
import { describeInstall, describeUninstall } from '../../install/dry-run.ts'
import { type InstallOptions, install } from '../../install/install.ts'
import { withLock } from '../../install/lock.ts'
import { type Node, readNode } from '../../install/plan.ts'
import { Root } from '../../install/root.ts'
import { findServiceManager } from '../../install/service-manager.ts'
import { nodeStatus } from '../../install/status.ts'
import { uninstall } from '../../install/uninstall.ts'
import { watchService } from '../../install/watch.ts'
import type { Run } from '../command.ts'
import type { CliContext } from '../context.ts'
import { EXIT } from '../exit-codes.ts'
import { fileOf, type OptionName, UsageError, type Values } from '../options.ts'
import { type Colors, print, type Row, table, withProgress } from '../output.ts'
import { planDirectHosts } from './hosts-plan.ts'

/** @throws UsageError; ConfigError; ResolveError as install() */
export const installCommand: Run = async (_words, values, context) => {
  const { 'dry-run': dryRun = false, secrets, 'runtime-endpoint': runtime } = values
  const [mode, waitMs, watchMs] = [kubeletOf(values), waitOf(values), watchOf(values)]
  const { manager, root, ...common } = await open(values, context)
  if (manager === undefined && (root.isThisMachine || values.chroot)) {
    const how = `run image-resolver --config FILE by what starts services here, and lead kubelet to its \`shim:\``
    const other = 'for a folder with the files of another system use --root DIR'
    throw new ResolveError('UNSUPPORTED', `systemd does not run here: ${how}; ${other}`)
  }
  // An installation that has begun is ended, or put back.
  const ended = new AbortController()
  if (watchMs !== undefined) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => ended.abort())
  }
  const run = async (): Promise<Node> => {
    const node = await readNode({ root, config: fileOf(values), runtime, secrets })
    const hosts = planDirectHosts(node.config.registries)
    const all: InstallOptions = {
      ...common,
      node,
      version: VERSION,
      hosts,
      mode,
      restartKubelet: values['restart-kubelet'] ?? false,
      waitMs,
      manager,
      readiness: (http) => context.readiness(http, root.base),
    }
    if (dryRun) context.stdout.write(await describeInstall(all))
    else await install(all)
    return node
  }
  const { config: installed } = await (dryRun ? run() : withLock(root, run))
  if (watchMs === undefined || dryRun) return EXIT.done
  await watchService({
    readiness: () => context.readiness(installed.http, root.base),
    limitMs: watchMs,
    putBack: () => uninstallCommand([], values, context),
    signal: ended.signal,
    say: common.say,
  })
  return EXIT.done
}

const MAX_WAIT_SECONDS = 3_600

/** @returns milliseconds. @throws UsageError */
export function waitOf({ wait = '60' }: Values): number {
  return secondsOf('wait', wait)
}

/** @returns milliseconds; undefined: nothing is watched. @throws UsageError */
export function watchOf({ watch }: Values): number | undefined {
  return watch === undefined ? undefined : secondsOf('watch', watch)
}

function secondsOf(option: OptionName, text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (seconds >= 1 && seconds <= MAX_WAIT_SECONDS) return seconds * 1_000
  throw new UsageError(`--${option} is a number of seconds from 1 to ${MAX_WAIT_SECONDS}`)
}

/** @throws UsageError */
export function kubeletOf({ kubelet = 'images' }: Values): 'images' | 'all' {
  if (kubelet === 'images' || kubelet === 'all') return kubelet
  throw new UsageError('--kubelet is images or all')
}

/** @throws UsageError; ResolveError as uninstall() */
export const uninstallCommand: Run = async (_words, values, context) => {
  const restartKubelet = values['restart-kubelet'] ?? false
  const all = { ...(await open(values, context)), restartKubelet }
  if (values['dry-run']) {
    context.stdout.write(await describeUninstall(all))
    return EXIT.done
  }
  const isWhole = await withLock(all.root, () => uninstall(all))
  return isWhole ? EXIT.done : EXIT.failed
}

/** @throws UsageError; ConfigError */
export const nodeStatusCommand: Run = async (_words, values, context) => {
  const { manager, root } = await open(values, context)
  const { config } = await readNode({ root })
  const status = await nodeStatus({
    root,
    socket: config.shim,
    http: config.http,
    manager,
    readiness:
      root.isThisMachine || values.chroot
        ? (http) => context.readiness(http, root.base)
        : undefined,
  })
  print(context, values.json, status, (colors) => statusText(status, colors))
  return status.problems.length === 0 ? EXIT.done : EXIT.failed
}

function statusText(status: Awaited<ReturnType<typeof nodeStatus>>, colors: Colors): string {
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
          ...(kubelet.wrapper === null ? [] : [['started by', kubelet.wrapper] as const]),
          ['image endpoint', endpoint(kubelet.imageEndpoint)] as const,
          ['runtime endpoint', endpoint(kubelet.runtimeEndpoint)] as const,
        ]),
    ...hosts.map((path) => ['hosts.toml', path] as const),
    ...changed.map((path) => ['changed since', path] as const),
  ]
  const lines: readonly Row[] = rows.map(([name, text]) => ({ cells: [name, text] }))
  const shown = table([{ title: 'WHAT' }, { title: 'STATE' }], lines, colors)
  return shown + problems.map((problem) => `problem: ${problem}\n`).join('')
}

async function open({ chroot = false, root: folder = '/' }: Values, context: CliContext) {
  const { stdout } = context
  const root = new Root(folder)
  if (chroot && root.isThisMachine) throw new UsageError('--chroot needs --root DIR')
  if (process.geteuid?.() !== 0 && root.isThisMachine) {
    throw new ResolveError('DENIED', 'it is about files of the system: run it as root')
  }
  return {
    root,
    manager: await findServiceManager(root, chroot),
    say: (line: string) => void stdout.write(`${line}\n`),
    waiting: <T>(what: string, work: Promise<T>) => withProgress(what, work, context),
  }
}
