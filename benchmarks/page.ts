import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { budgetText, partText, tableText } from './markdown.ts'
import { PARTS } from './parts.ts'
import { plotSvg } from './plot.ts'
import type { PartResult } from './report.ts'

// `node --import tsx benchmarks/page.ts`: docs/benchmarks.md and its plots from benchmarks/results.

const SELF = fileURLToPath(import.meta.url)
const DOCS = fileURLToPath(new URL('../docs/', import.meta.url))
const PAGE = `${DOCS}benchmarks.md`
const PLOTS = fileURLToPath(new URL('../docs/images/', import.meta.url))
const BEGIN = '<!-- results: written by `npm run bench`, from benchmarks/results -->'
const END = '<!-- end of results -->'
/** Where another page shows a table. */
const COPY = '<!-- measured: written by `npm run bench`, from benchmarks/results -->'

/** Writes the part of the page that holds figures, and the plots, from the results that there are. */
export function writePage(): void {
  const results = PARTS.flatMap(({ name }) => readResult(name) ?? [])
  mkdirSync(PLOTS, { recursive: true })
  for (const plot of results.flatMap((result) => result.plots ?? [])) {
    writeFileSync(`${PLOTS}${plot.name}.svg`, plotSvg(plot))
  }
  writeFileSync(PAGE, withResults(readFileSync(PAGE, 'utf8'), resultsText(results)))
  for (const { copiedTo, title, ...table } of results.flatMap(({ tables }) => tables)) {
    if (copiedTo === undefined) continue
    const page = `${DOCS}${copiedTo}.md`
    const text = `${title}:\n\n${tableText(table)}`
    writeFileSync(page, withResults(readFileSync(page, 'utf8'), text, COPY))
  }
}

/** @throws Error when the page has no place for results */
export function withResults(page: string, text: string, mark = BEGIN): string {
  const begin = page.indexOf(mark)
  const end = page.indexOf(END)
  if (begin < 0 || end < begin) throw new Error(`no place for results: ${mark} and ${END}`)
  return `${page.slice(0, begin + mark.length)}\n\n${text}\n${page.slice(end)}`
}

export function resultsText(results: readonly PartResult[]): string {
  const budgets = results.flatMap((result) => result.budgets ?? [])
  const slower = results.flatMap((result) => result.slower ?? [])
  return [
    '## Budgets\n',
    budgetText(budgets),
    'With brackets: the median of the last three runs, one after the other on one commit, the lowest and the highest. The tables below are of the last one.\n',
    '## Where it is slower\n',
    ...slower.map((sentence) => `- ${sentence}`),
    '',
    ...results.map((result) => `## ${result.title}\n\n${partText(result, 'images')}`),
  ].join('\n')
}

/** @returns undefined: this part was never measured */
export function readResult(part: string): PartResult | undefined {
  const file = fileURLToPath(new URL(`./results/${part}.json`, import.meta.url))
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as PartResult) : undefined
}

if (process.argv[1] === SELF) writePage()
