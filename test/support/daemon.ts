import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dump } from 'js-yaml'
import { type Program, startProgram } from './program.ts'
import { type Cleanup, makeFolder, removeFolder } from './stack.ts'

/**
 * The program as `npm run build` leaves it; where coverage is measured, its sources, so that what
 * it does counts for them.
 */
export const MAIN: readonly string[] =
  process.env['NODE_V8_COVERAGE'] === undefined
    ? [fileURLToPath(new URL('../../dist/app/main.js', import.meta.url))]
    : ['--import', 'tsx', fileURLToPath(new URL('../../src/main.ts', import.meta.url))]
/** As bin/image-resolver runs it. */
const LAUNCHER = readFileSync(new URL('../../bin/image-resolver', import.meta.url), 'utf8')
export const FLAGS: readonly string[] = LAUNCHER.match(/(?<=^(?:flags|heap)=.*)--[\w=-]+/gm) ?? []
const ALLOCATOR = Object.fromEntries(
  [...LAUNCHER.matchAll(/\$\{(MALLOC_\w+)-(\d+)\}/g)].map(([, name, value]) => [name, value]),
)
/** Of the inspector, which sleeps until a test wakes it. */
const INSPECTOR = ['--inspect-port=127.0.0.1:0']
/**
 * How registries are asked where a test is not about their silence: on a busy machine a good one is silent for longer
 * than the defaults allow, and then another one is asked, or its answer taken.
 */
export const PATIENT = { hedgeDelay: 0, probeBudget: '20s' } as const
/** Of the defaults, those: for tests of registries that never answer, and where the service itself is measured. */
export const BY_DEFAULT = { hedgeDelay: '300ms', probeBudget: '2s' } as const

export interface Daemon {
  readonly configFile: string
  /** Our CRI socket. */
  readonly socketPath: string
  /** `http://127.0.0.1:port`; another one after each start. */
  httpUrl(): string
  /** Changes the configuration file. */
  configure(config: object): void
  start(): Promise<void>
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL. */
  kill(): Promise<void>
  program(): Program
}

export interface DaemonOptions {
  /** The runtime's socket; without it no CRI socket is waited for. */
  readonly cri?: string
  /** Any other fields of the configuration; default of those in PATIENT: these. */
  readonly config?: object
  /** The program that runs it; absent: the Node of this process. */
  readonly node?: string
  /** Beside what every program gets. */
  readonly environment?: Readonly<Record<string, string>>
}

/** The service as an operator starts it: a process of its own, told everything by its file. */
export async function startDaemon(t: Cleanup, options: DaemonOptions): Promise<Daemon> {
  const folder = makeFolder()
  const configFile = join(folder, 'image-resolver.yaml')
  const socketPath = join(folder, 'run', 'shim.sock')
  mkdirSync(join(folder, 'state'))
  const base = {
    shim: socketPath,
    ...(options.cri === undefined ? {} : { cri: options.cri }),
    image: join(folder, 'state'),
    http: { listen: '127.0.0.1:0' },
    ...PATIENT,
  }
  let program: Program | undefined
  let httpUrl = ''

  function configure(config: object): void {
    // In one step, or the service may read half of it.
    writeFileSync(`${configFile}.new`, dump({ ...base, ...config }))
    renameSync(`${configFile}.new`, configFile)
  }

  async function start(): Promise<void> {
    const args = [...FLAGS, ...INSPECTOR, ...MAIN, '--config', configFile]
    const { environment, node = process.execPath } = options
    program = startProgram(node, args, { ...ALLOCATOR, ...environment })
    const [, address = ''] = await program.line(/"address":"([^"]+)"/)
    httpUrl = address
    if (options.cri !== undefined) await program.line(/CRI is served/)
  }

  configure(options.config ?? {})
  t.after(async () => {
    // It writes what it knows when it ends.
    await program?.stop()
    await removeFolder(folder)
  })
  await start()
  const current = (): Program => {
    if (program === undefined) throw new Error('the daemon was not started')
    return program
  }
  return {
    configFile,
    socketPath,
    httpUrl: () => httpUrl,
    configure,
    start,
    stop: async () => {
      await current().stop()
      return current().exitCode()
    },
    kill: () => current().kill(),
    program: current,
  }
}
