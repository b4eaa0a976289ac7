import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { load } from 'js-yaml'
import type { Containerd } from './containerd.ts'
import { criClient, type TestCriClient } from './cri-client.ts'
import { within } from './process-state.ts'
import { type Program, runProgram, startProgram } from './program.ts'
import { findProgram, temporaryFolder } from './stack.ts'

const REPOSITORY = resolve(import.meta.dirname, '../..')
const KUBELET_CONFIG = '/var/lib/kubelet/kubelet-config.yaml'
const RUNTIME_SOCKET = '/run/containerd/containerd.sock'
const SERVICE = 'image-resolver.service'
/** Only what hangs gets there. */
const SETTLED_MS = 120_000

/** Asks the test, which stands for systemd, and prints what it says. */
const SYSTEMCTL = `#!/bin/node
const socket = require('node:net').connect('/run/systemctl.sock')
let answer = ''
socket.on('data', (text) => { answer += text })
socket.on('end', () => {
  const { code, output } = JSON.parse(answer)
  process.stdout.write(output)
  process.exitCode = code
})
socket.end(JSON.stringify(process.argv.slice(2)))
`

/** The files of a node with a plain kubelet, whose configuration has a comment. */
const FILES = {
  '/etc/systemd/system/kubelet.service': `[Service]
ExecStart=/usr/bin/kubelet --config=${KUBELET_CONFIG} --v=2
`,
  [KUBELET_CONFIG]: `kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
# Of this node.
containerRuntimeEndpoint: "unix://${RUNTIME_SOCKET}"
cgroupDriver: systemd
`,
  '/etc/containerd/config.toml': 'version = 2\n',
}

/** A root folder with a kubelet's files and a real containerd's socket, entered by chroot. */
export interface ChrootNode {
  readonly root: string
  /** Folder of a program to install. @param version what it says of itself */
  program(version: string): string
  /** Runs the installed or given program's command against that root, as from a container beside it. */
  start(home: string, ...args: readonly string[]): Program
  /** What kubelet uses: set when it is started, from its file. */
  kubelet(): TestCriClient
  /** How often kubelet was restarted. */
  restarts(): number
  /** Of the running service. */
  service(): Program | undefined
  /**
   * Resolves when what systemd was told has been done. A command that is killed leaves its systemctl behind, which may start
   * the service in the middle of the next command, or after it.
   */
  settled(): Promise<void>
  /** Every path that install may change, with mode, owner and content. */
  snapshot(): readonly string[]
}

/**
 * The test stands for systemd there: it starts and stops the real program that the unit names. A restart of
 * kubelet.service makes it read kubelet's file, and use the socket that this names.
 *
 * @param programs that are to be in it beside Node and a shell
 */
export async function chrootNode(
  t: TestContext,
  containerd: Containerd,
  programs: readonly string[] = [],
): Promise<ChrootNode> {
  const root = temporaryFolder(t)
  const at = (path: string): string => join(root, path)
  await plant(root, ['sh', 'readlink', ...programs])
  for (const [path, content] of Object.entries(FILES)) {
    mkdirSync(dirname(at(path)), { recursive: true })
    writeFileSync(at(path), content)
  }
  for (const folder of ['usr/local/bin', 'var/cache', 'opt', dirname(RUNTIME_SOCKET)]) {
    mkdirSync(at(folder), { recursive: true })
  }
  linkSync(containerd.socketPath, at(RUNTIME_SOCKET))

  let service: Program | undefined
  let restarts = 0
  let started = process.hrtime.bigint()
  let kubelet = kubeletOf()

  function kubeletOf(): TestCriClient {
    type Config = { imageServiceEndpoint?: string; containerRuntimeEndpoint: string }
    const config = load(readFileSync(at(KUBELET_CONFIG), 'utf8')) as Config
    const endpoint = config.imageServiceEndpoint ?? config.containerRuntimeEndpoint
    return criClient(t, at(endpoint.replace('unix://', '')))
  }

  async function stop(): Promise<void> {
    await service?.stop()
    service = undefined
  }

  async function systemctl(args: readonly string[]): Promise<string> {
    const [verb, ...units] = args.filter((arg) => !arg.startsWith('--'))
    const isService = units.includes(SERVICE)
    if (verb === 'is-system-running') return 'running\n'
    if (verb === 'show' && args.includes('--property=ActiveState')) {
      const isActive = isService ? service?.running() === true : units[0] === 'kubelet.service'
      return isActive ? 'active\n' : 'inactive\n'
    }
    if (verb === 'show') return `${started / 1000n}\n`
    if (verb === 'restart' && units.includes('kubelet.service')) {
      restarts += 1
      started = process.hrtime.bigint()
      kubelet = kubeletOf()
    }
    if (isService && (verb === 'stop' || verb === 'restart')) await stop()
    if (isService && verb === 'restart') {
      const unit = readFileSync(at(`/etc/systemd/system/${SERVICE}`), 'utf8')
      const [, command = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? []
      const bare = ['-i', 'PATH=/bin', findProgram('chroot') ?? '', root]
      service = startProgram('env', [...bare, ...command.split(' ')])
      // As Type=notify: its servers are open, or cannot be.
      await service.line(/CRI is served|listener not open/)
    }
    return ''
  }

  mkdirSync(at('run'), { recursive: true })
  const manager = createServer({ allowHalfOpen: true }, (socket) => {
    let asked = ''
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      asked += text
    })
    socket.on('end', () => {
      void Promise.resolve()
        .then(() => systemctl(JSON.parse(asked)))
        .then(
          (output) => ({ code: 0, output }),
          (thrown: unknown) => ({ code: 1, output: String(thrown) }),
        )
        .then((answer) => socket.end(JSON.stringify(answer)))
    })
    // Its client may be killed while it waits.
    socket.on('error', () => {})
  })
  manager.listen(at('run/systemctl.sock'))
  t.after(async () => {
    manager.close()
    await stop()
  })

  return {
    root,
    program: (version) => makeProgram(t, version),
    start(home, ...args) {
      const [command = '', ...more] = args
      const main = join(home, 'dist/app/main.js')
      const program = startProgram(process.execPath, [
        main,
        command,
        '--root',
        root,
        '--chroot',
        ...more,
      ])
      t.after(() => program.kill())
      return program
    },
    kubelet: () => kubelet,
    restarts: () => restarts,
    service: () => service,
    settled: async () => {
      assert.ok(await within(SETTLED_MS, () => !callsSystemctl(root)), 'systemctl does not end')
    },
    snapshot: () => ['etc', 'opt', 'var', 'usr'].flatMap((folder) => snapshot(root, folder)),
  }
}

/** Whether a systemctl runs in that root. */
function callsSystemctl(root: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      if (command.includes(`${root}\0systemctl\0`)) return true
      return command.includes('/systemctl\0') && readlinkSync(`/proc/${pid}/root`) === root
    } catch {
      // No process, or one that has ended.
      return false
    }
  })
}

/** The program as the tarball has it, but for its Node, which is that of the root. */
function makeProgram(t: TestContext, version: string): string {
  const home = temporaryFolder(t)
  for (const part of ['bin', 'dist/app', 'dist/page', 'protos', 'deploy']) {
    cpSync(join(REPOSITORY, part), join(home, part), { recursive: true })
  }
  writeFileSync(join(home, 'node'), '#!/bin/sh\nexec /bin/node "$@"\n', { mode: 0o755 })
  const exports = { './package.json': './package.json' }
  const manifest = { name: 'image-resolver', version, type: 'module', exports }
  writeFileSync(join(home, 'package.json'), JSON.stringify(manifest))
  return home
}

async function plant(root: string, names: readonly string[]): Promise<void> {
  const bin = join(root, 'bin')
  mkdirSync(bin, { recursive: true })
  const programs = [
    ['node', process.execPath] as const,
    ...names.map((name) => [name, findProgram(name)] as const),
  ]
  for (const [name, path = ''] of programs) {
    cpSync(path, join(bin, name), { dereference: true })
    const linked = await runProgram('ldd', [path])
    for (const [, library = ''] of linked.matchAll(/(\/\S+) \(0x/g)) {
      const target = join(root, library)
      if (!existsSync(target)) cpSync(library, target, { dereference: true })
    }
  }
  writeFileSync(join(bin, 'systemctl'), SYSTEMCTL, { mode: 0o755 })
}

/** Libraries and programs that were planted stay as they are. */
function snapshot(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => !/^lib|\.so\b/.test(name))
    .sort()
    .flatMap((name) => {
      const path = join(root, folder, name)
      const stats = lstatSync(path, { throwIfNoEntry: false })
      // A running service replaces what it knows.
      if (stats === undefined) return []
      const { gid, mode, uid } = stats
      const content = stats.isFile()
        ? readFileSync(path, 'utf8')
        : stats.isSymbolicLink()
          ? readlinkSync(path)
          : ''
      return `${folder}/${name} ${mode.toString(8)} ${uid}:${gid} ${content}`
    })
}
