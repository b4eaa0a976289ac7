import type { Examination } from '../../doctor/doctor.ts'
import type { Finding } from '../../doctor/subject.ts'
import type { Run } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { filesOf, UsageError } from '../options.ts'
import { type Colors, print, visible, withProgress } from '../output.ts'

const FAIL_ON = ['error', 'warning', 'nothing'] as const
type FailOn = (typeof FAIL_ON)[number]

/** @throws UsageError */
function failOnOf(written: string | undefined): FailOn {
  if (written === undefined) return 'error'
  const known = FAIL_ON.find((each) => each === written)
  if (known !== undefined) return known
  throw new UsageError(`--fail-on of doctor is error, warning or nothing; not ${written}`)
}

/**
 * `doctor`: what stands in the way on this node.
 *
 * @returns the exit code: 0, or 1 where something as bad as `--fail-on` says was found
 */
export const doctorCommand: Run = async (_words, values, context) => {
  const { offline = false, root = '/' } = values
  const failOn = failOnOf(values['fail-on'])
  const examination = await withProgress(
    'this node and its registries',
    context.examine({ ...filesOf(values), root, offline }),
    context,
  )
  print(context, values.json, examination, (colors) => describe(examination, colors))
  const isBad = examination.findings.some(
    ({ severity }) => failOn === 'warning' || (failOn === 'error' && severity === 'error'),
  )
  return isBad ? EXIT.failed : EXIT.done
}

function describe({ checked, findings, skipped }: Examination, colors: Colors): string {
  const areas = [...new Set(findings.map(({ area }) => area))]
  const groups = areas.map((area) => {
    const own = findings.filter((finding) => finding.area === area)
    return `${colors(area, 'bold')}\n${own.map((finding) => textOf(finding, colors)).join('')}\n`
  })
  const errors = findings.filter(({ severity }) => severity === 'error').length
  const found = `${counted(errors, 'error')}, ${counted(findings.length - errors, 'warning')}`
  const summary = findings.length === 0 ? 'nothing stands in the way' : found
  const rest = skipped.map((line) => `not looked at: ${visible(line)}\n`).join('')
  return `${groups.join('')}${counted(checked.length, 'check')}: ${summary}\n${rest}`
}

function textOf(finding: Finding, colors: Colors): string {
  const { check, consequence, file, line, mend, problem, severity } = finding
  const mark = colors(severity.padEnd(7), severity === 'error' ? 'red' : 'yellow')
  const place = file === null ? '' : `${file}${line === null ? '' : `:${line}`}: `
  return `  ${mark}  ${visible(`${place}${problem}`)} ${colors(`[${check}]`, 'dim')}
           so:  ${visible(consequence)}
           do:  ${visible(mend)}
`
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
