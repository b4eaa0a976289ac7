/** Of one test, as node:test tells of it. */
export interface Result {
  readonly name: string
  readonly result: 'passed' | 'failed' | 'skipped'
}

export interface Table {
  readonly lines: readonly string[]
  /** Why this is no success; none when it is. */
  readonly problems: readonly string[]
}

/** 01 to 44, and 13a. */
export const NUMBERS: readonly string[] = [
  ...Array.from({ length: 44 }, (_, index) => String(index + 1).padStart(2, '0')),
  '13a',
].sort()

const NAME = /^cri-(\d\d[a-z]?) (\S+): (.+)$/
const COLUMNS = ['containerd', 'crio-like', 'dockerd-like', 'scripted'] as const
const ABSENT = '-'

/** One line for each behaviour, one column for each runtime on which it was looked for. */
export function tableOf(results: readonly Result[]): Table {
  const rows = new Map<string, Map<string, Result['result']>>()
  const problems: string[] = []
  for (const { name, result } of results) {
    const [, number = '', runtime = '', what = ''] = NAME.exec(name) ?? []
    if (number === '') {
      if (result === 'failed') problems.push(`failed: ${name}`)
      continue
    }
    const row = rows.get(`${number} ${what}`) ?? new Map()
    rows.set(`${number} ${what}`, row.set(runtime, result))
    if (result === 'failed') problems.push(`failed: ${name}`)
  }
  const keys = [...rows.keys()].sort()
  const shown = new Set(keys.map((key) => key.split(' ')[0]))
  for (const number of NUMBERS) {
    if (!shown.has(number)) problems.push(`no test of cri-${number}`)
  }
  const width = Math.max(0, ...keys.map((key) => key.length))
  const line = (title: string, cells: readonly string[]): string =>
    [title.padEnd(width), ...cells.map((cell) => cell.padEnd(12))].join('  ').trimEnd()
  return {
    lines: [
      line('behaviour', COLUMNS),
      ...keys.map((key) =>
        line(
          key,
          COLUMNS.map((column) => rows.get(key)?.get(column) ?? ABSENT),
        ),
      ),
    ],
    problems,
  }
}
