import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findProgram } from '../support/stack.ts'
import { BUILT, type Built, built, CONTAINERDS } from './build.ts'

// `npm run test:runtimes [-- containerd-1.7 …]`: the tests that stand on containerd, on each of these
// versions; without any, on the one that is installed and on all that are built here. With --path,
// builds the programs named and prints a PATH that begins with them.

const TESTS = join(import.meta.dirname, '..')
const FOLDERS = ['e2e', 'conformance']
/** How a test says that it needs containerd. */
const NEEDS_CONTAINERD = /\bRUNTIME_PROGRAMS\b|\bALL\b|'containerd'/
/** What the runner says of each failure at its end. */
const FAILURES = /^failed: [\s\S]*?(?=\n\nℹ tests )/m
const TOTALS = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m
/** Characters at the end of its output: totals, and some failures. */
const MAX_TAIL = 30_000
const INSTALLED = 'installed'

const [first, ...others] = process.argv.slice(2)
if (first === '--path') process.stdout.write(`${await pathWith(...others.map(known))}\n`)
else process.exitCode = await runAll(first === undefined ? everyOne() : [first, ...others])

function everyOne(): readonly string[] {
  return [...(findProgram('containerd') === undefined ? [] : [INSTALLED]), ...CONTAINERDS]
}

async function runAll(runtimes: readonly string[]): Promise<number> {
  const sum = { passed: 0, failed: 0, skipped: 0 }
  const [lines, failures]: [string[], string[]] = [[], []]
  for (const runtime of runtimes) {
    const chosen = runtime === INSTALLED ? [] : [known(runtime)]
    const totals = await runOn(await pathWith('crictl', ...chosen))
    lines.push(`${runtime}: ${textOf(totals)}`)
    if (totals.failures !== undefined) failures.push(`${runtime}:\n${totals.failures}\n\n`)
    sum.passed += totals.passed
    sum.failed += totals.failed
    sum.skipped += totals.skipped
  }
  process.stdout.write(`\n${failures.join('')}${lines.join('\n')}\n\n${textOf(sum)}\n`)
  return sum.failed === 0 ? 0 : 1
}

/** All its output is passed on; its totals are in the last line. */
async function runOn(path: string): Promise<Totals> {
  const command = ['--import', 'tsx', join(TESTS, 'run.ts'), ...testFiles()]
  const child = spawn(process.execPath, command, {
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const end = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end)
  let tail = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text)
    tail = (tail + text).slice(-MAX_TAIL)
  })
  const [code] = await once(child, 'close')
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, end)
  const found = TOTALS.exec(tail)
  if (found === null) return { passed: 0, failed: 1, skipped: 0 }
  const [passed = 0, failed = 0, skipped = 0] = found.slice(1).map(Number)
  const failures = FAILURES.exec(tail)?.[0]
  return { passed, failed: code === 0 ? failed : Math.max(1, failed), skipped, failures }
}

interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly failures?: string | undefined
}

function textOf({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}

function testFiles(): readonly string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(TESTS, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join(TESTS, folder, name)),
  ).filter((file) => NEEDS_CONTAINERD.test(readFileSync(file, 'utf8')))
}

/** A PATH on which these programs come first, containerd's shim of the same version with them. */
async function pathWith(...modules: readonly Built[]): Promise<string> {
  const folders: string[] = []
  for (const module of modules) folders.push(await built(module))
  return [...folders.reverse(), process.env['PATH'] ?? ''].join(delimiter)
}

function known(name: string): Built {
  const found = BUILT.find((each) => each === name)
  if (found === undefined) throw new Error(`${name} is none of ${BUILT.join(', ')}`)
  return found
}
