import type { Edit } from './image-mention.ts'

/** Lines around a change, as diff -u shows them. */
const CONTEXT = 3

const NO_NEWLINE = '\\ No newline at end of file'

/** A line that becomes one or more others. */
interface Change {
  /** Its number in the text before, from 0. */
  readonly start: number
  readonly lines: readonly string[]
}

/**
 * What edits change, as a unified diff. They are known, so that nothing has to be compared: a file of
 * 100,000 lines takes no longer than it is long.
 *
 * @param edits of `text`, none of which overlap
 * @returns '' without edits
 */
export function unifiedDiff(name: string, text: string, edits: readonly Edit[]): string {
  const lines = text.split('\n')
  const changes = changedLines(text, lines, edits)
  if (changes.length === 0) return ''
  const output = [`--- a/${name}`, `+++ b/${name}`]
  const isUnended = !text.endsWith('\n')
  const marked = (sign: string, line: string, index: number): string =>
    isUnended && index === lines.length - 1 ? `${sign}${line}\n${NO_NEWLINE}` : `${sign}${line}`
  let added = 0
  for (const group of grouped(changes)) {
    const [first, last] = [group[0], group.at(-1)]
    if (first === undefined || last === undefined) continue
    const start = Math.max(0, first.start - CONTEXT)
    const end = Math.min(lines.length - (isUnended ? 0 : 1), last.start + 1 + CONTEXT)
    const body: string[] = []
    let at = start
    for (const change of group) {
      body.push(...lines.slice(at, change.start).map((line) => ` ${line}`))
      const { lines: after, start: index } = change
      body.push(marked('-', lines[index] ?? '', index))
      body.push(...after.slice(0, -1).map((line) => `+${line}`))
      body.push(marked('+', after.at(-1) ?? '', index))
      at = change.start + 1
    }
    body.push(...lines.slice(at, end).map((line, index) => marked(' ', line, at + index)))
    const grown = group.reduce((sum, change) => sum + change.lines.length - 1, 0)
    output.push(`@@ -${start + 1},${end - start} +${start + 1 + added},${end - start + grown} @@`)
    // One by one: as arguments of one call, 100,000 and more do not fit the stack.
    for (const line of body) output.push(line)
    added += grown
  }
  return `${output.join('\n')}\n`
}

function changedLines(text: string, lines: readonly string[], edits: readonly Edit[]): Change[] {
  const changes: Change[] = []
  const ordered = [...edits].sort((one, other) => one.start - other.start)
  let [line, lineStart, next] = [0, 0, 0]
  while (next < ordered.length) {
    const edit = ordered[next] as Edit
    while (lineStart + (lines[line]?.length ?? 0) < edit.start) {
      lineStart += (lines[line]?.length ?? 0) + 1
      line += 1
    }
    // All edits of this line; none goes beyond it, since no image is written over several lines.
    const lineEnd = lineStart + (lines[line]?.length ?? 0)
    let changed = ''
    let at = lineStart
    for (; next < ordered.length; next += 1) {
      const { start, end, text: replacement } = ordered[next] as Edit
      if (start > lineEnd) break
      if (start < at) continue
      changed += text.slice(at, start) + replacement
      at = end
    }
    changed += text.slice(at, lineEnd)
    changes.push({ start: line, lines: changed.split('\n') })
  }
  return changes
}

/** Changes with lines around them that would meet are shown together. */
function grouped(changes: readonly Change[]): Change[][] {
  const groups: Change[][] = []
  for (const change of changes) {
    const last = groups.at(-1)
    const before = last?.at(-1)
    if (
      last !== undefined &&
      before !== undefined &&
      change.start - before.start - 1 <= 2 * CONTEXT
    ) {
      last.push(change)
    } else groups.push([change])
  }
  return groups
}
