import { cpus } from 'node:os'
import { measureHttp } from './http.ts'
import { isKept, type Measurement } from './measure.ts'
import { measureStart } from './start.ts'

const measurements = [...(await measureStart()), ...(await measureHttp())]
const [cpu] = cpus()
process.stdout.write(
  [
    `Node ${process.version}, ${cpus().length} x ${cpu?.model ?? 'unknown CPU'}`,
    '',
    '| what | budget | measured | |',
    '|---|---|---|---|',
    ...measurements.map(row),
    '',
  ].join('\n'),
)
process.exitCode = measurements.every(isKept) ? 0 : 1

function row(measurement: Measurement): string {
  const { what, unit, budget, bound, measured } = measurement
  const digits = unit === 'MiB' ? 0 : 2
  const verdict = isKept(measurement) ? 'kept' : 'MISSED'
  return `| ${what} | ${bound} ${budget} ${unit} | ${measured.toFixed(digits)} ${unit} | ${verdict} |`
}
