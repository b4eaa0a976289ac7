import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { basename, join } from 'node:path'
import { runProgram, startProgram } from '../../test/support/program.ts'
import { type Cleanup, temporaryFolder } from '../../test/support/stack.ts'
import { NODE } from './node-binary.ts'

const STARTS = 9
const BEGIN = '<!-- written by npm run release -- --docs -->'
const END = '<!-- to here -->'

/** Writes the sizes of packages, and how soon the one for x64 serves here, into a page of the docs. */
export async function writeFigures(page: string, files: readonly string[]): Promise<void> {
  const ends: (() => unknown)[] = []
  try {
    const tarball = files.find((file) => file.endsWith('-linux-x64.tar.gz')) ?? ''
    const starts = await startTimes({ after: (end) => ends.push(end) }, tarball)
    const rows = files.map((file) => `| ${basename(file)} | ${mebibytes(file)} |`)
    const [seconds, cpu] = [starts.map((each) => each.seconds), starts.map((each) => each.cpu)]
    const text = `${BEGIN}

| package | MiB |
|---|---|
${rows.join('\n')}

With its own Node ${NODE.version} the tarball serves HTTP ${median(seconds).toFixed(2)} s after its start, and has then
used ${median(cpu).toFixed(2)} s of a processor (median of ${STARTS} starts, ${loadavg()[0]?.toFixed(0)} processes at work on the machine beside it).

${END}`
    const before = readFileSync(page, 'utf8')
    writeFileSync(page, before.replace(new RegExp(`${BEGIN}[\\s\\S]*${END}`), text))
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function startTimes(cleanup: Cleanup, tarball: string) {
  const folder = temporaryFolder(cleanup)
  await runProgram('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1'])
  const config = join(folder, 'config.yaml')
  mkdirSync(join(folder, 'state'))
  const shared = { shim: join(folder, 'shim.sock'), cri: join(folder, 'none.sock') }
  const http = { listen: '127.0.0.1:0' }
  writeFileSync(config, JSON.stringify({ ...shared, image: join(folder, 'state'), http }))
  const times: { readonly seconds: number; readonly cpu: number }[] = []
  for (let time = 0; time < STARTS; time += 1) {
    const began = performance.now()
    const program = startProgram(join(folder, 'bin/image-resolver'), ['--config', config])
    await program.line(/HTTP is served/)
    const seconds = (performance.now() - began) / 1_000
    times.push({ seconds, cpu: cpuSeconds(program.pid) })
    await program.stop()
  }
  return times
}

/** Of a process that the launcher has become. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN
}

function mebibytes(file: string): string {
  return (statSync(file).size / 2 ** 20).toFixed(0)
}
