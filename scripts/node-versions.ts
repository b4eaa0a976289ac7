import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { runProgram } from '../test/support/program.ts'

// `npm run test:node [-- 22 24]`: the tests that need no runtime, on each of these major versions of
// Node.js, by default all that are supported. The npm package `node` carries the binaries, which are
// kept in a cache.

const SUPPORTED = ['20', '22', '24']
const FOLDERS = ['unit', 'property', 'contract', 'integration']
const ROOT = join(import.meta.dirname, '..')
const CACHE = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'image-resolver-runtimes',
)

const chosen = process.argv.slice(2)
const lines: string[] = []
for (const major of chosen.length === 0 ? SUPPORTED : chosen) {
  if (!/^\d+$/.test(major)) throw new Error(`not a major version of Node.js: ${major}`)
  const folder = await installed(major)
  const version = (await runProgram(join(folder, 'node'), ['--version'])).trim()
  process.stdout.write(`\n==> Node.js ${version}\n`)
  const code = await runTests(folder)
  lines.push(`Node.js ${version}: ${code === 0 ? 'passed' : 'failed'}`)
  if (code !== 0) process.exitCode = 1
}
process.stdout.write(`\n${lines.join('\n')}\n`)

/** The folder of that version's `node`. */
async function installed(major: string): Promise<string> {
  const folder = join(CACHE, `node-${major}`)
  const programs = join(folder, 'node_modules/node/bin')
  if (existsSync(programs)) return programs
  const unfinished = `${folder}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  await runProgram('npm', ['install', '--no-save', '--prefix', unfinished, `node@${major}`])
  renameSync(unfinished, folder)
  return programs
}

/** Programs that tests start find that version first. */
async function runTests(folder: string): Promise<number | null> {
  const child = spawn('node', ['--import', 'tsx', 'test/run.ts', ...FOLDERS], {
    cwd: ROOT,
    env: { ...process.env, PATH: `${folder}${delimiter}${process.env['PATH']}` },
    stdio: 'inherit',
  })
  const [code] = await once(child, 'close')
  return code
}
