import { YAMLException } from 'js-yaml'
import type { ConfigProblem } from './problem.ts'
import { excerpt } from './yaml-excerpt.ts'
import { yamlHint } from './yaml-hint.ts'
import { linesOf } from './yaml-lines.ts'

/** What the parser threw, with the line, a caret and the likely cause; nothing else of the file. */
export function yamlSyntaxProblem(source: string, thrown: unknown): ConfigProblem {
  if (!(thrown instanceof YAMLException)) {
    return { line: 0, path: '', message: 'not readable as YAML' }
  }
  // Some reasons end in a piece of the file, which may be a piece of a password.
  const reason = thrown.reason.replace(/(?:: | ").*$/s, '')
  const message = `not valid YAML: ${reason}`
  if (thrown.mark === undefined) return { line: 0, path: '', message }
  const lines = linesOf(source)
  const [line, column] = [thrown.mark.line + 1, thrown.mark.column + 1]
  const hint = yamlHint(lines, line, reason)
  return {
    line,
    column,
    path: '',
    message: hint === undefined ? message : `${message}; ${hint}`,
    excerpt: excerpt(lines, line, column),
  }
}
