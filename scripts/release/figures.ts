import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { getPriority, loadavg } from 'node:os'
import { basename, join } from 'node:path'
import { runProgram, startProgram } from '../../test/support/program.ts'
import { type Cleanup, temporaryFolder } from '../../test/support/stack.ts'
import { NODE } from './node-binary.ts'

const STARTS = 9
const BEGIN = '<!-- written by npm run release -- --docs -->'
const END = '<!-- to here -->'

/** Writes the sizes of artifacts, and how soon those for x64 serve here, into a page of the docs. */
export async function writeFigures(page: string, files: readonly string[]): Promise<void> {
  const ends: (() => unknown)[] = []
  try {
    const cleanup = { after: (end: () => unknown) => ends.push(end) }
    const starts = await startTimes(cleanup, files)
    const rows = files.map((file) => {
      const times = starts.get(file) ?? []
      const [seconds, cpu] = [median(times, 'seconds'), median(times, 'cpu')]
      return `| ${basename(file)} | ${mebibytes(file)} | ${seconds} | ${cpu} |`
    })
    const before = getPriority() < 0 ? ', and waited for it (nice)' : ''
    const text = `${BEGIN}

| artifact | MiB | serves HTTP after, s | processor, s |
|---|---|---|---|
${rows.join('\n')}

With its own Node ${NODE.version}, unpacked, the median of ${STARTS} starts; the image in a chroot, with what a container runtime
does before that left out. ${loadavg()[0]?.toFixed(0)} processes were at work on the machine beside it${before}. The image is for both processors; a node pulls half of it.

${END}`
    const old = readFileSync(page, 'utf8')
    writeFileSync(page, old.replace(new RegExp(`${BEGIN}[\\s\\S]*${END}`), text))
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

interface Start {
  readonly seconds: number
  readonly cpu: number
}

/** In turn, so that what else the machine does counts for each of them alike. */
async function startTimes(cleanup: Cleanup, files: readonly string[]) {
  const programs: { readonly file: string; readonly command: readonly string[] }[] = []
  for (const file of files) {
    const command = await unpack(file, temporaryFolder(cleanup))
    if (command !== undefined) programs.push({ file, command })
  }
  const times = new Map<string, Start[]>()
  for (let time = 0; time < STARTS; time += 1) {
    for (const { file, command } of programs) {
      const [program = '', ...args] = command
      const began = performance.now()
      const started = startProgram(program, args)
      await started.line(/HTTP is served/)
      const seconds = (performance.now() - began) / 1_000
      const start = { seconds, cpu: cpuSeconds(started.pid) }
      times.set(file, [...(times.get(file) ?? []), start])
      await started.stop()
    }
  }
  return times
}

/** @returns the command that starts what was in it; undefined: it is of another processor */
async function unpack(file: string, folder: string): Promise<readonly string[] | undefined> {
  const piped = (script: string) => runProgram('sh', ['-c', script, 'sh', file, folder])
  if (file.endsWith('-oci.tar')) {
    const command = await unpackImage(file, folder)
    writeConfig(folder, '')
    return ['env', ...command.env, 'chroot', folder, ...command.entry]
  }
  const config = writeConfig(folder, folder)
  if (file.endsWith('-linux-x64.tar.gz')) {
    await piped('tar -xzf "$1" -C "$2" --strip-components=1')
    return [join(folder, 'bin/image-resolver'), '--config', config]
  }
  if (file.endsWith('_amd64.deb')) await piped('dpkg-deb --extract "$1" "$2"')
  else if (file.endsWith('.x86_64.rpm')) await piped('rpm2archive - <"$1" | tar -xzC "$2"')
  else return undefined
  return [join(folder, 'usr/bin/image-resolver'), '--config', config]
}

/** @param root how the program sees the folder */
function writeConfig(folder: string, root: string): string {
  const file = 'etc/image-resolver.yaml'
  mkdirSync(join(folder, 'etc'), { recursive: true })
  mkdirSync(join(folder, 'state'))
  const shared = { shim: `${root}/shim.sock`, cri: `${root}/none.sock`, image: `${root}/state` }
  writeFileSync(join(folder, file), JSON.stringify({ ...shared, http: { listen: '127.0.0.1:0' } }))
  return join(root, file)
}

/** @returns what its container is started with */
async function unpackImage(file: string, folder: string) {
  const layout = join(folder, 'layout')
  mkdirSync(layout)
  await runProgram('tar', ['-xf', file, '-C', layout])
  const read = (digest: string) =>
    JSON.parse(readFileSync(join(layout, 'blobs', digest.replace(':', '/')), 'utf8'))
  const { manifests } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8'))
  const variants: readonly {
    readonly digest: string
    readonly platform: { architecture: string }
  }[] = read(manifests[0].digest).manifests
  const variant = variants.find(({ platform }) => platform.architecture === 'amd64')
  const manifest = read(variant?.digest ?? '')
  for (const { digest } of manifest.layers) {
    const blob = join(layout, 'blobs', digest.replace(':', '/'))
    await runProgram('tar', ['-xzf', blob, '-C', folder])
  }
  const { config } = read(manifest.config.digest)
  return { env: config.Env as readonly string[], entry: config.Entrypoint as readonly string[] }
}

/** Of a process that the launcher has become. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function median(starts: readonly Start[], field: keyof Start): string {
  const values = starts.map((start) => start[field]).sort((one, other) => one - other)
  return values[values.length >> 1]?.toFixed(2) ?? ''
}

function mebibytes(file: string): string {
  return (statSync(file).size / 2 ** 20).toFixed(0)
}
