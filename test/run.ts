import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type EventData, run } from 'node:test'
import { spec } from 'node:test/reporters'
import { pathToFileURL } from 'node:url'
import { TestCounts } from './support/test-counts.ts'

// `npm test`, or `node --import tsx test/run.ts unit property`: every *.test.ts below test/ or the
// folders given, or these very files. node's own runner takes no patterns before version 21, and is content with no file
// at all.

const ROOT = import.meta.dirname
/** One process with all its tests. Far above the slowest: only what hangs gets there. */
const FILE_LIMIT_MS = 600_000

/** Files that share a process, at most and at least. */
const GROUPS = 8
const FEWEST_IN_GROUP = 12

const LONGEST = [
  'e2e/install.test.ts',
  'e2e/page.test.ts',
  'attack/attack.test.ts',
  'e2e/soak.test.ts',
  'e2e/failover.test.ts',
]

/** Looks at what its whole process has loaded. */
const LOOKS_AT_PROCESS = ['integration/http/inputs.test.ts']

/** A file whose tests take longer is told of. */
const SLOW_MS = 2_000

const TOTAL = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/

type TestEvent =
  | { readonly type: 'test:diagnostic'; readonly data: EventData.TestDiagnostic }
  | { readonly type: 'test:pass' | 'test:fail'; readonly data: object }

const folders = process.argv.slice(2)
const files = (folders.length === 0 ? ['.'] : folders).flatMap(testFiles)
const counts = new TestCounts()
const ending = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())

/** More than there are processors: many a file waits for a program or a clock for most of its time. */
const concurrency = Math.ceil(Math.max(2, availableParallelism()) * 1.5)
const groups = mkdtempSync(join(tmpdir(), 'tests-'))
process.on('exit', () => rmSync(groups, { recursive: true }))

await runAll([
  ...grouped(files.filter(isShared)),
  ...files.filter(isAlone),
  ...files.filter(isEndToEnd).sort(longestFirst),
])
process.exitCode = report() ? 0 : 1

function testFiles(folder: string): string[] {
  if (folder.endsWith('.test.ts')) return [resolve(ROOT, folder)]
  const found = readdirSync(resolve(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => resolve(ROOT, folder, name))
  if (found.length === 0) throw new Error(`no *.test.ts in ${resolve(ROOT, folder)}`)
  return found.sort()
}

function isEndToEnd(file: string): boolean {
  return ['/attack/', '/conformance/', '/e2e/'].some((folder) => file.includes(folder))
}

/** Whether it leaves nothing behind that another file would see: such files share a process. */
function isShared(file: string): boolean {
  if (LOOKS_AT_PROCESS.some((name) => file.endsWith(name))) return false
  return ['/unit/', '/property/', '/integration/'].some((folder) => file.includes(folder))
}

function isAlone(file: string): boolean {
  return !isShared(file) && !isEndToEnd(file)
}

/**
 * To start a process and to load what is tested takes longer than most of these files.
 *
 * @returns some files that import all of these, in turn
 */
function grouped(shared: readonly string[]): readonly string[] {
  const count = Math.min(GROUPS, Math.ceil(shared.length / FEWEST_IN_GROUP))
  return Array.from({ length: count }, (_, group) => {
    const imports = shared
      .filter((_, index) => index % count === group)
      .map((file) => `import ${JSON.stringify(pathToFileURL(file).href)}\n`)
    const path = join(groups, `group-${group + 1}.mjs`)
    writeFileSync(path, imports.join(''))
    return path
  })
}

async function runAll(chosen: readonly string[]): Promise<void> {
  if (chosen.length === 0 || ending.signal.aborted) return
  const stream = run({
    files: [...chosen],
    concurrency,
    timeout: FILE_LIMIT_MS,
    signal: ending.signal,
  })
  counts.count(stream)
  await pipeline(stream, withoutTotals, new spec(), process.stdout, { end: false })
}

/** Each run ends with its own totals; report() gives those of all runs, once. */
async function* withoutTotals(events: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  for await (const event of events) {
    if (event.type !== 'test:diagnostic' || !TOTAL.test(event.data.message)) yield event
  }
}

/** @returns whether all is well */
function report(): boolean {
  const { failures, passed, skipped } = counts
  const failed = failures.length
  const empty = [...counts.empty.filter((file) => files.includes(file)), ...emptyOfGroups()]
  const problems = empty.map((file) => `no test in ${inTree(file)}`)
  if (passed + failed + skipped.length === 0) problems.push('no test was run')
  if (ending.signal.aborted) problems.push('ended by a signal')
  const lines = skipped.map(({ file, name, reason }) => `  ${inTree(file)}: ${name}: ${reason}`)
  if (process.env['REQUIRE_E2E'] === '1' && skipped.some(({ file }) => isEndToEnd(file))) {
    problems.push('REQUIRE_E2E=1, and end-to-end tests were skipped')
  }
  if (lines.length > 0) process.stdout.write(`\nskipped:\n${lines.join('\n')}\n`)
  const slow = [...counts.files]
    .filter(([, ms]) => ms > SLOW_MS)
    .sort((one, two) => two[1] - one[1])
  if (slow.length > 0) {
    const slowest = slow.slice(0, 20).map(([file, ms]) => `  ${inTree(file)}: ${Math.round(ms)} ms`)
    process.stdout.write(`\nslowest:\n${slowest.join('\n')}\n`)
  }
  // Far above they have been told of already; the end of a log is what is read first, and kept longest.
  for (const { file, name, message } of failures) {
    const indented = message.replace(/^(?=.)/gm, '    ')
    process.stdout.write(`\nfailed: ${inTree(file)}: ${name}\n${indented}\n`)
  }
  for (const problem of problems) process.stdout.write(`\nfailed: ${problem}\n`)
  const wrong = failed + problems.length
  const totals = [
    ['tests', passed + wrong + skipped.length],
    ['pass', passed],
    ['fail', wrong],
    ['skipped', skipped.length],
    ['duration_ms', Math.round(performance.now())],
  ]
  process.stdout.write(`\n${totals.map(([name, count]) => `ℹ ${name} ${count}\n`).join('')}`)
  process.stdout.write(`\n${passed} passed, ${wrong} failed, ${skipped.length} skipped\n`)
  return wrong === 0
}

/** So that none of them runs alone at the end. */
function longestFirst(one: string, other: string): number {
  const place = (file: string): number => {
    const index = LONGEST.findIndex((name) => file.endsWith(name))
    return index === -1 ? LONGEST.length : index
  }
  return place(one) - place(other)
}

/** In a group every test is told of by the file that has it. */
function emptyOfGroups(): readonly string[] {
  if (ending.signal.aborted) return []
  return files.filter((file) => isShared(file) && !counts.files.has(file))
}

function inTree(file: string): string {
  return relative(join(ROOT, '..'), file)
}
