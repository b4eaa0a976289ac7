import type { ResolveError } from '../../errors.ts'
import type { PinOutcome } from '../../workloads/pin.ts'
import type { CliContext } from '../context.ts'
import { EXIT, type ExitCode, exitCodeOf } from '../exit-codes.ts'
import { formatTime, visible } from '../output.ts'

/** `print`: the text of one file, pinned. `drift`: what is pinned, and has moved. */
export type PinMode = 'print' | 'write' | 'diff' | 'check' | 'drift'

/** Whether what is not pinned, or has moved, is a failure. */
export function isFinding(mode: PinMode): boolean {
  return mode === 'check' || mode === 'drift'
}

/** One line of what is told: a place in a file, what became of it, and whether that is a failure. */
export interface Row {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly path?: string
  readonly reference?: string
  readonly state: PinOutcome['state'] | 'skipped' | 'broken'
  readonly digest?: string
  readonly from?: string
  /** When the images of `digest` and `from` were built, where a registry says it. */
  readonly created?: string
  readonly createdFrom?: string
  readonly message?: string
  readonly code: ExitCode
}

/** Of what has moved, for drift, with the times when the images were built. */
export type DatedOutcome = PinOutcome & Pick<Row, 'created' | 'createdFrom'>

interface TellOptions {
  readonly context: Pick<CliContext, 'stdout' | 'stderr' | 'environment'>
  readonly json: boolean
  readonly mode: PinMode
}

export function detail(outcome: DatedOutcome, mode: PinMode) {
  const { state } = outcome
  const code = isFinding(mode) ? EXIT.failed : EXIT.done
  switch (state) {
    case 'kept':
      return { state, digest: outcome.digest, code: EXIT.done }
    case 'changed': {
      const { pin, ...rest } = outcome
      return { ...rest, digest: pin.digest, code }
    }
    case 'unpinned':
      return { state, code }
    case 'failed':
      return { state, message: messageOf(outcome.error), code: exitCodeOf(outcome.error.code) }
  }
}

function messageOf({ code, message }: ResolveError): string {
  return `${code}: ${message}`
}

export function tell(rows: readonly Row[], { context, json, mode }: TellOptions): void {
  const { environment, stderr, stdout } = context
  const out = isFinding(mode) || mode === 'write' ? stdout : stderr
  if (json) {
    out.write(`${JSON.stringify({ images: rows.map(({ code: _, ...row }) => row) }, null, 2)}\n`)
    return
  }
  for (const row of rows) {
    // What is printed of a file shows what was changed.
    const isShown = row.state !== 'changed' || isFinding(mode) || mode === 'write'
    if (row.state === 'kept' || !isShown) continue
    const text = textOf(row)
    const isFailure = row.code !== EXIT.done
    const place = `${row.file}:${row.line}:${row.column}`
    const to = row.state === 'changed' || row.state === 'unpinned' ? out : stderr
    to.write(`${visible(`${place}: ${text}`)}\n`)
    if (isFinding(mode) && isFailure && environment['GITHUB_ACTIONS'] === 'true') {
      stdout.write(annotation(row, text))
    }
  }
}

function textOf({ created, createdFrom, digest, from, message, reference, state }: Row): string {
  switch (state) {
    case 'changed':
      return from === undefined
        ? `${reference} -> ${digest}`
        : `${reference} has moved: it is ${digest} now${built(created)}${built(createdFrom, 'this one ')}`
    case 'unpinned':
      return `${reference} is not pinned to a digest`
    case 'skipped':
      return `passed over: ${message}`
    case 'broken':
      return `${message}`
    default:
      return `${reference}: ${message}`
  }
}

function built(time: string | undefined, what = ''): string {
  return time === undefined ? '' : `, ${what}built ${formatTime(time)}`
}

/** A workflow command of GitHub Actions (actions/toolkit, command.ts). */
function annotation({ file, line, column }: Row, text: string): string {
  const escaped = (value: string): string =>
    value.replace(
      /[%\p{Cc}]/gu,
      (each) => `%${each.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`,
    )
  const property = (value: string): string =>
    escaped(value).replace(/:/g, '%3A').replace(/,/g, '%2C')
  return `::error file=${property(file)},line=${line},col=${column}::${escaped(text)}\n`
}
