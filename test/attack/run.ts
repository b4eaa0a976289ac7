import { parseArgs } from 'node:util'
import { type Attack, type AttackOutcome, problemsOf } from './attack.ts'
import { attacks as criAttacks } from './cri.ts'
import { attacks as httpAttacks } from './http.ts'
import { runAttack } from './scene.ts'

// `npm run test:attack`, with `-- --short` for less of everything, `-- --only PATTERN` for some: what
// each attack costs the service and its other clients, as a table.

const COLUMNS = [
  'attack',
  'RSS before',
  'peak',
  'after',
  'in use before',
  'after',
  'p99 quiet',
  'under attack',
  'with processors',
  'runtime',
  'alive',
  '',
]

const { values } = parseArgs({
  options: { short: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
})
const chosen = [...httpAttacks, ...criAttacks].filter(({ name }) => name.includes(values.only))
const rows: (readonly string[])[] = []
let wrong = 0
for (const attack of chosen) {
  const outcome = await runAttack(attack, values.short)
  const problems = problemsOf(outcome)
  if (problems.length > 0) wrong += 1
  rows.push(cellsOf(attack, outcome, problems))
  process.stderr.write(`${rows.at(-1)?.join(' | ')}\n`)
}
print([COLUMNS, ...rows])
process.stdout.write(`${rows.length} attacks, ${wrong} not survived\n`)
process.exitCode = rows.length > 0 && wrong === 0 ? 0 : 1

function cellsOf({ name }: Attack, outcome: AttackOutcome, problems: readonly string[]): string[] {
  const { afterRssMiB, beforeRssMiB, peakRssMiB, beforeLiveMiB, afterLiveMiB } = outcome
  const { alive, goodP99Ms, note, ownP99Ms, quietP99Ms, runtimeP99Ms } = outcome
  const mib = (size: number): string => `${size.toFixed(0)} MiB`
  const ms = (time: number): string => `${time.toFixed(1)} ms`
  return [
    name,
    ...[beforeRssMiB, peakRssMiB, afterRssMiB, beforeLiveMiB, afterLiveMiB].map(mib),
    ...[quietP99Ms, goodP99Ms, ownP99Ms, runtimeP99Ms].map(ms),
    alive ? 'yes' : 'NO',
    [...problems.map((each) => `WRONG: ${each}`), note ?? ''].filter(Boolean).join('; '),
  ]
}

function print(table: readonly (readonly string[])[]): void {
  const widths = COLUMNS.map((_, column) =>
    Math.max(...table.map((cells) => cells[column]?.length ?? 0)),
  )
  for (const cells of table) {
    const line = cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
    process.stdout.write(`${line.trimEnd()}\n`)
  }
}
