import { masked } from './mask.ts'

const CONTEXT = 3

/**
 * What becomes of a file, as one hunk of a unified diff. Secrets are not in it.
 *
 * @param before undefined: there is none
 */
export function fileDiff(path: string, before: string | undefined, after: string): string {
  const [old, now] = [linesOf(before ?? ''), linesOf(after)]
  let start = 0
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1
  let [oldEnd, nowEnd] = [old.length, now.length]
  while (oldEnd > start && nowEnd > start && old[oldEnd - 1] === now[nowEnd - 1]) {
    oldEnd -= 1
    nowEnd -= 1
  }
  const from = Math.max(0, start - CONTEXT)
  // Compared are the lines as they are, and shown those without secrets.
  const [oldShown, nowShown] = [masked(old), masked(now)]
  const tail = oldShown.slice(oldEnd, oldEnd + CONTEXT)
  const range = (count: number): string => `${count === 0 ? 0 : from + 1},${count}`
  const [oldCount, nowCount] = [oldEnd, nowEnd].map((end) => end + tail.length - from)
  return [
    `--- ${before === undefined ? '/dev/null' : `a${path}`}`,
    `+++ b${path}`,
    `@@ -${range(oldCount ?? 0)} +${range(nowCount ?? 0)} @@`,
    ...oldShown.slice(from, start).map((line) => ` ${line}`),
    ...oldShown.slice(start, oldEnd).map((line) => `-${line}`),
    ...nowShown.slice(start, nowEnd).map((line) => `+${line}`),
    ...tail.map((line) => ` ${line}`),
    '',
  ].join('\n')
}

/** The last line without its end is another one than with it. */
function linesOf(text: string): readonly string[] {
  if (text === '') return []
  const lines = text.split('\n')
  if (lines.at(-1) === '') return lines.slice(0, -1)
  return [...lines.slice(0, -1), `${lines.at(-1)}\n\\ No newline at end of file`]
}
