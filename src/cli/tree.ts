import type { Exchange } from '../registry/image.ts'
import type { CandidateReport } from '../resolver/types.ts'

interface Row {
  readonly text: string
  readonly startedMs?: number | undefined
  readonly ms?: number | undefined
}

/** Rows longer than this do not push the times of all the others aside. */
const MAX_ALIGNED = 100

/**
 * The story of one resolution, in the manner of `dig +trace`: every candidate in order with when it
 * was asked and how long it took; below it the requests that were made, what it named, and why it was
 * chosen or passed over.
 */
export function storyTree(candidates: readonly CandidateReport[]): readonly string[] {
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

function exchangeRow({ method, url, status, ms, rateLimit, warning }: Exchange): Row {
  const notes = [
    String(status ?? 'no answer'),
    ...(rateLimit === undefined ? [] : [`${rateLimit.remaining} requests left`]),
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
