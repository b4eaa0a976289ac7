import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

// The last step of `npm run coverage`. c8 has one threshold for all files; the pure heart of the
// program has to be covered to the last line, the rest of it nearly so.

interface Counts {
  readonly total: number
  readonly covered: number
}

interface Rule {
  readonly folder: string
  /** Percent over the whole folder. */
  readonly lines: number
  readonly branches: number
}

const RULES: readonly Rule[] = [
  { folder: '', lines: 95, branches: 90 },
  { folder: 'src/reference/', lines: 100, branches: 100 },
  { folder: 'src/resolver/', lines: 99, branches: 95 },
]
const ROOT = resolve(import.meta.dirname, '..')

const files = Object.entries(readSummary())
  .map(([path, counts]) => ({ path: relative(ROOT, path), ...counts }))
  .filter(({ path }) => /^(src|api)\//.test(path) && !isTypesOnly(path))
let isEnough = files.length > 0
for (const rule of RULES) {
  const inside = files.filter(({ path }) => path.startsWith(rule.folder))
  const lines = percent(inside.map((file) => file.lines))
  const branches = percent(inside.map((file) => file.branches))
  const enough = lines >= rule.lines && branches >= rule.branches
  isEnough &&= enough
  process.stdout.write(
    `coverage: ${rule.folder || 'all'}: ${inside.length} files, ` +
      `lines ${lines.toFixed(2)} of ${rule.lines}, branches ${branches.toFixed(2)} of ${rule.branches}` +
      `${enough ? '' : ': too little'}\n`,
  )
}
process.exitCode = isEnough ? 0 : 1

function readSummary(): Record<string, { readonly lines: Counts; readonly branches: Counts }> {
  const { total: _, ...each } = JSON.parse(
    readFileSync(resolve(ROOT, 'coverage/coverage-summary.json'), 'utf8'),
  )
  return each
}

/** Nothing of it is there at run time, so nothing of it can be covered. */
function isTypesOnly(path: string): boolean {
  const { outputText } = transpileModule(readFileSync(resolve(ROOT, path), 'utf8'), {
    compilerOptions: {
      module: ModuleKind.ESNext,
      target: ScriptTarget.ES2023,
      verbatimModuleSyntax: true,
      removeComments: true,
    },
  })
  return outputText.trim() === 'export {};'
}

/** Nothing to cover is not covered: a folder that is gone must not pass. */
function percent(counts: readonly Counts[]): number {
  const total = counts.reduce((sum, each) => sum + each.total, 0)
  const covered = counts.reduce((sum, each) => sum + each.covered, 0)
  return total === 0 ? 0 : (100 * covered) / total
}
