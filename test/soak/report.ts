import type { Sample } from './samples.ts'
import type { SoakReport } from './soak.ts'

const MOST_PROBLEMS = 50

/** Tables of what was called, what broke, and what the service held, and then what was wrong. */
export function printReport({ after, before, calls, events, parts, problems }: SoakReport): string {
  const row = (name: string, sample: Sample) => [
    name,
    Math.round(sample.seconds),
    sample.descriptors,
    sample.sockets,
    sample.residentMiB.toFixed(1),
    sample.liveMiB.toFixed(1),
  ]
  return [
    table(calls.table()),
    table([['what happened', 'times'], ...Object.entries(events).sort()]),
    table([
      ['medians', 'seconds', 'descriptors', 'sockets', 'resident, MiB', 'live heap, MiB'],
      row('before', before),
      ...parts.map((part, n) => row(`fifth ${n + 1}`, part)),
      row('at rest', after),
    ]),
    problems.length === 0
      ? 'nothing was wrong\n'
      : `${problems.length} problems\n${problems.slice(0, MOST_PROBLEMS).join('\n')}\n`,
  ].join('\n')
}

function table(rows: readonly (readonly (string | number)[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => String(row[column]).length)),
  )
  const line = (row: readonly (string | number)[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return typeof cell === 'number' ? String(cell).padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return `${rows.map(line).join('\n')}\n`
}
