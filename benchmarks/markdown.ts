import { cellText } from './number.ts'
import { isKept, type Measurement, type PartResult, type Table } from './report.ts'

export function tableText({ columns, rows }: Pick<Table, 'columns' | 'rows'>): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const written = rows.map((row) => line(row.map(cellText)))
  return [line(columns), `|${'---|'.repeat(columns.length)}`, ...written, ''].join('\n')
}

/** Budget against measured. */
export function budgetText(measurements: readonly Measurement[]): string {
  const rows = measurements.map((each) => {
    const { what, unit, budget, bound, measured } = each
    return [what, `${bound} ${budget} ${unit}`, measured, isKept(each) ? 'kept' : 'MISSED']
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
