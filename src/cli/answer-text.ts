import { ErrorResponse } from '../../api/v1/error.ts'
import { onlyNamed } from '../../api/v1/schema.ts'
import { type Attempt, type ErrorCode, PULL_EXPLANATION, type ResolveError } from '../errors.ts'
import { formatPlatform } from '../reference/platform.ts'
import type { Exchange } from '../registry/image.ts'
import type { Answer, CandidateReport } from '../resolver/types.ts'
import { attemptsText, candidatesOf } from '../resolver/unresolved-error.ts'
import { formatMs, visible } from './output.ts'

/** @param explain with the trace of every candidate */
export function answerText(answer: Answer, explain: boolean): string {
  const lines = [
    row('reference', answer.reference),
    row('image ID', answer.imageId),
    row('digest', answer.digest ?? '-'),
    ...(answer.manifestDigest === answer.digest
      ? []
      : [row('manifest', answer.manifestDigest ?? '-')]),
    row('platform', platformText(answer)),
    row(
      'found at',
      `${answer.registry}${answer.source === 'registry' ? '' : ` (${answer.source})`}`,
    ),
    ...(answer.node === undefined ? [] : [row('on the node', answer.node.imageId ?? 'no')]),
    'pull from',
    ...answer.references.map(
      ({ reference, verified }) => `  ${reference}${verified ? '' : '  (not verified)'}`,
    ),
    ...(explain ? traceLines(answer.candidates ?? [], answer.attempts) : []),
  ]
  return `${lines.join('\n')}\n`
}

/** What no index and no config says is marked: it is what was meant. */
export function platformText({ platform }: Answer): string {
  return `${formatPlatform(platform)}${platform.assumed ? ' (assumed)' : ''}`
}

function row(name: string, value: string): string {
  return `${name.padEnd(12)}${value}`
}

/**
 * What failed, and below it what each registry said, once.
 *
 * @param explain with the trace of every candidate
 */
export function failureText(error: ResolveError, explain: boolean): string {
  const lines = traceLines(explain ? candidatesOf(error) : [], error.attempts)
  return `${[`image-resolver: ${visible(headline(error))} [${error.code}]`, ...lines].join('\n')}\n`
}

const SUMMARIES: Partial<Readonly<Record<ErrorCode, string>>> = {
  MANIFEST_UNKNOWN: 'not found',
  PLATFORM_UNKNOWN: 'not there for this platform',
  UNAUTHORIZED: 'refused',
  DENIED: 'refused',
  NOT_AN_IMAGE: 'not an image',
}

/** Without the messages of the registries, which have lines of their own. */
function headline({ attempts, code, message }: ResolveError): string {
  // Of a failed pull the runtime's own text comes first, and what registries said behind it.
  if (attempts.length > 0 && message.includes(PULL_EXPLANATION)) {
    return message.slice(0, message.indexOf(PULL_EXPLANATION))
  }
  const said = attemptsText(attempts)
  if (said === '') return message
  return message.replace(said, () => SUMMARIES[code] ?? 'not resolved')
}

/** The traces of the candidates where they are known, else the attempts. */
function traceLines(
  candidates: readonly CandidateReport[],
  attempts: readonly Attempt[],
): readonly string[] {
  if (candidates.length > 0) return ['asked', ...traceTree(candidates)]
  return attempts.length === 0 ? [] : ['asked', ...attemptLines(attempts)]
}

/** In columns, as far as they are short. */
function attemptLines(attempts: readonly Attempt[]): readonly string[] {
  const rows = attempts.map(({ registry, step, outcome, status, ms, message }) => ({
    cells: [registry, step, status === undefined ? outcome : `${outcome} ${status}`],
    ms: formatMs(ms),
    said: message === undefined || message === outcome ? '' : withoutName(message, registry),
  }))
  const widths = [0, 1, 2].map((at) => Math.max(...rows.map(({ cells }) => cells[at]?.length ?? 0)))
  const msWidth = Math.max(...rows.map(({ ms }) => ms.length))
  return rows.map(({ cells, ms, said }) => {
    const padded = cells.map((cell, at) => cell.padEnd(widths[at] ?? 0))
    return visible(`  ${[...padded, ms.padStart(msWidth), said].join('  ')}`.trimEnd())
  })
}

function withoutName(message: string, registry: string): string {
  return message.startsWith(`${registry}: `) ? message.slice(registry.length + 2) : message
}

/** The body of the HTTP API. */
export function failureBody(error: ResolveError, explain: boolean): ErrorResponse {
  const { code, found, message, attempts } = error
  const candidates = explain ? candidatesOf(error) : []
  const detail = {
    ...(found !== undefined && { found }),
    ...(attempts.length > 0 && { attempts }),
    ...(candidates.length > 0 && { candidates }),
  }
  return onlyNamed<ErrorResponse>(ErrorResponse, { errors: [{ code, message, detail }] })
}

interface Row {
  readonly text: string
  readonly startedMs?: number | undefined
  readonly ms?: number | undefined
}

/** Rows longer than this do not push the times of all the others aside. */
const MAX_ALIGNED = 100

/**
 * The trace of one resolution, as `dig +trace` shows one: every candidate in order with when it
 * was asked and how long it took; below it the requests that were made, what it named, and why it was
 * chosen or passed over.
 */
export function traceTree(candidates: readonly CandidateReport[]): readonly string[] {
  const rows = candidates.flatMap((candidate, index) => {
    const last = index === candidates.length - 1
    const { ms, reference, startedMs } = candidate
    const head: Row = { text: `${last ? '└─' : '├─'} ${reference}`, startedMs, ms }
    return [head, ...below(candidate).map((row) => indented(row, last))]
  })
  return aligned(rows)
}

function below({ digest, error, exchanges, why }: CandidateReport): readonly Row[] {
  const said = error === undefined || why.endsWith(error.message) ? [] : [{ text: error.message }]
  const rows = [
    ...exchanges.map(exchangeRow),
    ...(digest === undefined ? [] : [{ text: digest }]),
    ...said,
    { text: why },
  ]
  return rows.map((row, index) => ({
    ...row,
    text: `${index === rows.length - 1 ? '└─' : '├─'} ${row.text}`,
  }))
}

function exchangeRow({ method, url, status, ms, remaining, warning }: Exchange): Row {
  const notes = [
    String(status ?? 'no answer'),
    ...(remaining === undefined ? [] : [`${remaining} requests left`]),
    ...(warning === undefined ? [] : [`warning: ${warning}`]),
  ]
  return { text: `${method} ${url}: ${notes.join(', ')}`, ms }
}

function indented(row: Row, last: boolean): Row {
  return { ...row, text: `${last ? '  ' : '│ '} ${row.text}` }
}

function aligned(rows: readonly Row[]): readonly string[] {
  const timed = rows.filter(({ ms }) => ms !== undefined)
  const width = Math.min(Math.max(0, ...timed.map(({ text }) => text.length)), MAX_ALIGNED)
  return rows.map(({ text, startedMs, ms }) => {
    if (ms === undefined) return text
    const started = startedMs === undefined ? '' : `+${Math.round(startedMs)} ms`
    const took = `${Math.round(ms)} ms`
    return `${text.padEnd(width)} ${started.padStart(10)} ${took.padStart(9)}`
  })
}
