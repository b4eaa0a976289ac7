import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { MAIN } from './daemon.ts'
import { runProgram } from './program.ts'
import { examplesOf, patternOf } from './readme.ts'

export interface ExampleScene {
  readonly configFile: string
  /** What stands in the document, and what it stands for in the test. */
  readonly standsFor: Readonly<Record<string, string>>
  readonly environment?: Readonly<Record<string, string>>
}

/**
 * Runs every tested command of a document, in its order, and holds what it prints to what the document
 * says. One that ends with another code than 0 is written with `; echo $?`.
 *
 * @returns how many there were
 */
export async function checkExamples(document: URL, scene: ExampleScene): Promise<number> {
  const { configFile, environment = {}, standsFor } = scene
  const program = [process.execPath, ...MAIN].map(shellWord).join(' ')
  const exports = Object.entries(environment).map(
    ([name, value]) => `export ${name}=${shellWord(value)}`,
  )
  const examples = examplesOf(readFileSync(document, 'utf8'))
  for (const { command, output } of examples) {
    const real = replaceAll(command, standsFor).replace(
      /(^|; do |\| )image-resolver (.*?)(?=;| \|| \d?>|$)/g,
      `$1${program} $2 -f ${shellWord(configFile)}`,
    )
    // Both streams as one, in the order in which they are written.
    const printed = await runProgram('sh', ['-c', ['exec 2>&1', ...exports, real].join('\n')])

    const back = Object.entries(standsFor).map(([text, stands]) => [stands, text])
    const said = replaceAll(withoutWaiting(printed), Object.fromEntries(back)).trimEnd()
    assert.match(squeezed(said), patternOf(squeezed(output)), `${command}\n${said}`)
  }
  return examples.length
}

/** The `yaml` block that stands below `<!-- tested -->`. */
export function yamlOf(document: URL): string {
  const [, text] =
    /<!-- tested -->\n```yaml\n([\s\S]*?)```/.exec(readFileSync(document, 'utf8')) ?? []
  assert.ok(text !== undefined, `${document.pathname} has no tested configuration`)
  return text
}

/** A busy machine keeps commands waiting for more than a second, of which they tell: for what, or how far they are. */
export function withoutWaiting(text: string): string {
  return text.replace(/^image-resolver: .+ \(\d+ s\)\n/gm, '')
}

export function replaceAll(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((done, [from, to]) => done.replaceAll(from, to), text)
}

/** Columns are as wide as what is in them, which here may be longer. */
function squeezed(text: string): string {
  return text.replace(/ {2,}/g, '  ').replace(/ +$/gm, '')
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
