import { type Cell, isKept, type Measurement, type PartResult, type Table } from './report.ts'
import { spread } from './statistics.ts'

export function tableText({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const written = rows.map((row) => line(row.map(cellText)))
  return [line(columns), `|${'---|'.repeat(columns.length)}`, ...written, ''].join('\n')
}

/** Budget against measured. */
export function budgetText(measurements: readonly Measurement[]): string {
  const rows = measurements.map((each) => {
    const { what, unit, budget, bound, measured, runs = [] } = each
    const value = runs.length > 1 ? spread(runs) : measured
    return [what, `${bound} ${budget} ${unit}`, value, isKept(each) ? 'kept' : 'MISSED']
  })
  return tableText({ columns: ['what', 'budget', 'measured', ''], rows })
}

/** Everything of a part but its heading. */
export function partText(result: PartResult, plotFolder: string): string {
  const { machine, missing = [], plots = [], tables } = result
  const { cpu, cpus, memoryGiB, system, node, commit } = machine
  const where = `${cpus} x ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}, commit ${commit}`
  return [
    `Measured on ${where}, in ${Math.round(result.tookSeconds)} s.\n`,
    ...tables.map(({ note, title, ...table }) =>
      [`### ${title}\n`, tableText(table), ...(note === undefined ? [] : [`${note}\n`])].join('\n'),
    ),
    ...plots.map(({ name, title }) => `![${title}](${plotFolder}/${name}.svg)\n`),
    ...missing.map((what) => `Not measured: ${what}.\n`),
  ].join('\n')
}

/** Three digits that count, without an exponent: 12 345, 99.5, 0.0213. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  if (size >= 100) return grouped(Math.round(value))
  if (size >= 10) return trimmed(value.toFixed(1))
  if (size >= 1) return trimmed(value.toFixed(2))
  return size === 0 ? '0' : trimmed(value.toPrecision(2))
}

/** A cell's text; of rounds the median, and what the others gave. */
function cellText(cell: Cell): string {
  if (typeof cell === 'string') return cell
  if (typeof cell === 'number') return digits(cell)
  const { median, min, max } = cell
  if (min === max) return digits(median)
  return `${digits(median)} (${digits(min)} to ${digits(max)})`
}

function trimmed(text: string): string {
  return text.includes('.') && !text.includes('e') ? text.replace(/\.?0+$/, '') : text
}

function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}
