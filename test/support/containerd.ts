import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CriVersion } from '../../src/runtime/types.ts'
import { criClient } from './cri-client.ts'
import { type Program, runProgram, startProgram } from './program.ts'
import { type Cleanup, findProgram, makeFolder, removeFolder } from './stack.ts'

const START_LIMIT_MS = 60_000

export interface Containerd {
  readonly folder: string
  /** Serves CRI v1 and v1alpha2, and containerd's own services. */
  readonly socketPath: string
  /** For hosts.toml files, read at each pull: `<hostsFolder>/<host>/hosts.toml`. */
  readonly hostsFolder: string
  /** The image of every pod; each version has another one. */
  sandboxImage(): Promise<string>
  /** Starts it again on the same folders, after stop() or kill(). */
  start(): Promise<void>
  /** SIGTERM; the socket file goes with it. */
  stop(): Promise<void>
  /** SIGKILL: the socket file stays, and nobody listens. */
  kill(): Promise<void>
  /** With another image of every pod, where one is named. */
  restart(sandboxImage?: string): Promise<void>
  /** `ctr --namespace k8s.io ...`; resolves with what it prints. */
  ctr(...args: string[]): Promise<string>
  log(): string
}

/**
 * A containerd of its own folders, ended and wiped away after the test. Resolves when CRI answers.
 *
 * @param images lines of its configuration of images
 */
export async function startContainerd(
  t: Cleanup,
  images: readonly string[] = [],
): Promise<Containerd> {
  const folder = makeFolder()
  const socketPath = join(folder, 'c.sock')
  const hostsFolder = join(folder, 'hosts')
  const configFile = join(folder, 'config.toml')
  mkdirSync(hostsFolder)
  writeFileSync(configFile, await configuration(folder, images))
  let program: Program | undefined
  let earlier = ''

  async function start(): Promise<void> {
    earlier += program?.output() ?? ''
    const started = startProgram('containerd', ['--config', configFile])
    program = started
    await answers(t, started, socketPath)
  }
  const stop = async () => program?.stop()
  const kill = async () => program?.kill()

  t.after(async () => {
    await stop()
    await unmountBelow(folder)
    await removeFolder(folder)
  })
  await start()
  return {
    folder,
    socketPath,
    hostsFolder,
    async sandboxImage() {
      const dump = await runProgram('containerd', ['--config', configFile, 'config', 'dump'])
      const [, , image = ''] = /\bsandbox(_image)? = ["']([^"']+)["']/.exec(dump) ?? []
      return image
    },
    start,
    stop,
    kill,
    restart: async (sandboxImage) => {
      await stop()
      if (sandboxImage) writeFileSync(configFile, await configuration(folder, images, sandboxImage))
      await start()
    },
    ctr: (...args) =>
      runProgram('ctr', ['--address', socketPath, '--namespace', 'k8s.io', ...args]),
    log: () => earlier + (program?.output() ?? ''),
  }
}

async function answers(t: Cleanup, program: Program, socketPath: string): Promise<void> {
  const client = criClient(t, socketPath)
  const end = Date.now() + START_LIMIT_MS
  for (;;) {
    // CRI answers Version before it has read its images; listing them waits for that.
    const ready = await client.listImages().then(
      () => true,
      () => false,
    )
    if (ready) return client.client.close()
    if (!program.running() || Date.now() > end) {
      throw new Error(`containerd does not answer:\n${program.output()}`)
    }
    await sleep(10)
  }
}

async function unmountBelow(folder: string): Promise<void> {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${folder}/`))
  for (const point of points.reverse()) await runProgram('umount', ['-l', point])
}

/** Version 2 of the file is containerd 1's; 2.x reads 3, and only migrates older ones. */
async function configuration(
  folder: string,
  more: readonly string[],
  sandboxImage?: string,
): Promise<string> {
  const isOne = (await containerdVersion()).startsWith('1.')
  const images = isOne ? 'io.containerd.grpc.v1.cri' : 'io.containerd.cri.v1.images'
  const runtime = isOne ? images : 'io.containerd.cri.v1.runtime'
  const sandbox = sandboxImage === undefined ? '' : JSON.stringify(sandboxImage)
  return `
version = ${isOne ? 2 : 3}
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.nri.v1.nri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "${folder}/c.sock"
[ttrpc]
  address = "${folder}/t.sock"
[plugins."${runtime}"]
  restrict_oom_score_adj = true
  ${sandbox && isOne ? `sandbox_image = ${sandbox}` : ''}
  [plugins."${runtime}".cni]
    conf_dir = "${folder}/cni"
  [plugins."${images}".registry]
    config_path = "${folder}/hosts"
${sandbox && !isOne ? `  [plugins."${images}".pinned_images]\n    sandbox = ${sandbox}` : ''}
${isOne ? `  [plugins."${images}".containerd]` : `[plugins."${images}"]`}
${more.join('\n')}
`
}

/** The CRI of the containerd that PATH leads to: v1alpha2 went with 2.0. */
export async function servedVersions(): Promise<readonly CriVersion[]> {
  const isInstalled = findProgram('containerd') !== undefined
  const hasBoth = !isInstalled || (await containerdVersion()).startsWith('1.')
  return hasBoth ? ['v1', 'v1alpha2'] : ['v1']
}

let version: Promise<string> | undefined

/** Of the containerd that PATH leads to: `1.6.20~ds1`, `2.3.7+unknown`. */
export function containerdVersion(): Promise<string> {
  version ??= askVersion()
  return version
}

async function askVersion(): Promise<string> {
  const text = await runProgram('containerd', ['--version'])
  const [, , version] = text.split(' ')
  if (version === undefined || !/^v?\d+\./.test(version)) throw new Error(`no version: ${text}`)
  return version.replace(/^v/, '')
}
