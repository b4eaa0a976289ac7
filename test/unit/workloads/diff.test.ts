import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { unifiedDiff } from '../../../src/workloads/diff.ts'
import { applyEdits, type Edit } from '../../../src/workloads/image-mention.ts'

/** What git makes of it. */
function patched(text: string, diff: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'diff-'))
  try {
    writeFileSync(join(folder, 'f'), text)
    execFileSync('git', ['apply', '--whitespace=nowarn', '-'], { cwd: folder, input: diff })
    return readFileSync(join(folder, 'f'), 'utf8')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('the diff of edits', () => {
  it('shows what changes, with three lines around it', () => {
    const text = Array.from({ length: 20 }, (_, n) => `line ${n}\n`).join('')
    const at = text.indexOf('line 10')
    assert.equal(
      unifiedDiff('f', text, [{ start: at, end: at + 4, text: 'LINE' }]),
      `--- a/f
+++ b/f
@@ -8,7 +8,7 @@
 line 7
 line 8
 line 9
-line 10
+LINE 10
 line 11
 line 12
 line 13
`,
    )
  })

  it('shows a change in each of very many lines', () => {
    const count = 150_000
    const edits = Array.from({ length: count }, (_, line) => ({
      start: 2 * line,
      end: 2 * line + 1,
      text: 'b',
    }))
    const diff = unifiedDiff('f', 'a\n'.repeat(count), edits)
    assert.equal(diff.split('\n').length, 2 * count + 4)
  })

  it('is nothing without edits', () => {
    assert.equal(unifiedDiff('f', 'a\n', []), '')
  })

  it('leads git apply to the same text as the edits do', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\r'), maxLength: 6 })
    const scenes = fc.record({
      lines: fc.array(line, { minLength: 1, maxLength: 40 }),
      isEnded: fc.boolean(),
      edited: fc.uniqueArray(fc.nat(39), { minLength: 1, maxLength: 6 }),
      text: fc.constantFrom('X', 'X\n  Y'),
    })
    fc.assert(
      fc.property(scenes, ({ lines, isEnded, edited, text }) => {
        const whole = `${lines.map((each) => `>${each}`).join('\n')}${isEnded ? '\n' : ''}`
        const starts = lines.map((_, n) => lines.slice(0, n).join('').length + 2 * n)
        const edits: Edit[] = edited
          .filter((n) => n < lines.length)
          .map((n) => ({ start: starts[n] ?? 0, end: (starts[n] ?? 0) + 1, text }))
        fc.pre(edits.length > 0)
        assert.equal(patched(whole, unifiedDiff('f', whole, edits)), applyEdits(whole, edits))
      }),
      { numRuns: 60 },
    )
  })
})
