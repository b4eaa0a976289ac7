import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { temporaryFolder } from '../test/support/stack.ts'
import { cleanly, endEverything } from './cleanly.ts'
import { thisMachine } from './machine.ts'
import { budgetText, tableText } from './markdown.ts'
import { readResult, writePage } from './page.ts'
import { runPart } from './part-process.ts'
import { PARTS, type Part } from './parts.ts'
import { type Findings, isKept, type PartResult, withEarlierRuns } from './report.ts'

// `npm run bench`, `npm run bench -- NAME...`, and with --quick a look that leaves no results behind.

/** What all parts may take together; who comes late gets what is left. */
const TOTAL_SECONDS = 540
const RESULTS = fileURLToPath(new URL('./results/', import.meta.url))

interface Failure {
  readonly part: string
  readonly reason: string
}

const args = process.argv.slice(2)
const quick = args.includes('--quick')
const chosen = choose(args.filter((each) => each !== '--quick'))
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void endEverything().finally(() => process.exit(130))
  })
}

const results: PartResult[] = []
const failures: Failure[] = []
for (const part of chosen) {
  say(`\n== ${part.title} (${part.name})\n`)
  try {
    const result = await run(part)
    results.push(result)
    show(result)
    if (!quick) keep(result)
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    failures.push({ part: part.name, reason })
    say(`FAILED: ${reason}\n`)
  }
}
if (!quick && results.length > 0) writePage()

const budgets = results.flatMap((result) => result.budgets ?? [])
say(`\n${quick ? 'A quick look; figures of this kind prove nothing.\n\n' : ''}`)
say(budgetText(budgets))
for (const { part, reason } of failures) say(`FAILED ${part}: ${reason.split('\n')[0]}\n`)
process.exitCode = failures.length === 0 && budgets.every(isKept) ? 0 : 1

function choose(names: readonly string[]): readonly Part[] {
  if (names.length === 0) return PARTS.filter(({ onRequest }) => onRequest !== true)
  return names.map((name) => {
    const part = PARTS.find((each) => each.name === name)
    if (part !== undefined) return part
    const known = PARTS.map((each) => each.name).join(', ')
    throw new Error(`there is no part ${name}; there are: ${known}`)
  })
}

async function run(part: Part): Promise<PartResult> {
  const began = performance.now()
  const leftSeconds = Math.floor(TOTAL_SECONDS - began / 1000)
  const limitSeconds = part.onRequest ? part.limitSeconds : Math.min(part.limitSeconds, leftSeconds)
  if (limitSeconds <= 0) throw new Error(`no time is left of the ${TOTAL_SECONDS} s for all`)
  const findings = await cleanly(
    (cleanup): Promise<Findings> =>
      runPart(cleanup, { ...part, limitSeconds }, temporaryFolder(cleanup), quick),
  )
  const tookSeconds = Math.round((performance.now() - began) / 100) / 10
  return { part: part.name, title: part.title, tookSeconds, machine: thisMachine(), ...findings }
}

function show({ missing = [], tables, tookSeconds }: PartResult): void {
  for (const { note, title, ...table } of tables) {
    say(`${title}\n\n${tableText(table)}${note === undefined ? '' : `${note}\n`}\n`)
  }
  for (const what of missing) say(`Not measured: ${what}.\n`)
  say(`${tookSeconds} s\n`)
}

function keep(result: PartResult): void {
  mkdirSync(RESULTS, { recursive: true })
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toPrecision(6)) : value
  const whole = withEarlierRuns(result, readResult(result.part))
  const text = JSON.stringify(JSON.parse(JSON.stringify(whole), rounded), null, 2)
  writeFileSync(`${RESULTS}${result.part}.json`, `${text}\n`)
}

function say(text: string): void {
  process.stdout.write(text)
}
