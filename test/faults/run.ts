import { ResolveError } from '../../src/errors.ts'
import { measureAll } from './measure.ts'
import type { Row } from './row.ts'
import { budgetMs, judge, judgeTimes } from './verdict.ts'

// `npm run test:faults`: what every failure of a registry costs, and what comes of it, as a table.

const COLUMNS = ['a registry that', 'place', 'outcome', 'requests', 'ms', 'budget', 'again', 'ok']

const startedAt = performance.now()
const rows = await measureAll({ isTimed: true })
const wrong = rows.flatMap((row) => problemOf(row) ?? [])
print([COLUMNS, ...rows.map(cellsOf)])
const tookSeconds = ((performance.now() - startedAt) / 1_000).toFixed(1)
process.stdout.write(
  [
    '',
    'requests: to the registries that fail, with all that they send us to, of all that were sent',
    'again: ms of the next resolution, and what that is more than without the registry',
    ...wrong,
    `${rows.length} rows, ${wrong.length} wrong, ${tookSeconds} s`,
    '',
  ].join('\n'),
)
process.exitCode = rows.length > 0 && wrong.length === 0 ? 0 : 1

function cellsOf(row: Row): readonly string[] {
  const { again, ended, fault, ms, place, sent, total } = row
  const more = again === undefined ? undefined : again.ms - again.healthyMs
  return [
    fault.name,
    place,
    ended instanceof ResolveError ? ended.code : placeOf(row, ended.registry),
    `${sent} of ${total}`,
    ms.toFixed(0),
    String(budgetMs(row)),
    again === undefined ? '-' : `${again.ms.toFixed(1)} (${signed(more ?? 0)})`,
    problemOf(row) === undefined ? 'ok' : 'WRONG',
  ]
}

function placeOf({ scene }: Row, registry: string): string {
  return scene.sick.includes(registry) ? 'its image' : "the next one's image"
}

function signed(ms: number): string {
  return `${ms < 0 ? '' : '+'}${ms.toFixed(1)}`
}

function problemOf(row: Row): string | undefined {
  try {
    judge(row)
    judgeTimes(row)
    return undefined
  } catch (thrown) {
    const [line = ''] = (thrown instanceof Error ? thrown.message : String(thrown)).split('\n')
    return `WRONG: ${row.fault.name}, ${row.place}: ${line}`
  }
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
