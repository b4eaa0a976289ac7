import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { COMMANDS } from '../../../src/cli/commands.ts'
import { helpFor } from '../../../src/cli/help.ts'
import type { World } from '../../../src/cli/world.ts'
import { ConfigError } from '../../../src/config/problem.ts'
import { ResolveError } from '../../../src/errors.ts'
import { runCli } from '../../support/cli.ts'

/** Whoever is asked, of whatever, fails so. */
function failing(error: Error): Partial<World> {
  const fail = async () => {
    throw error
  }
  return { serve: fail, answers: fail, node: fail, names: fail, registries: fail, stats: fail }
}

/** Words that make each command go on to ask somebody. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  resolve: ['nginx'],
  'registry tags': ['hub', 'a'],
  pull: ['nginx'],
  rmi: ['nginx'],
}
/** These ask nobody of the world. */
const ALONE = ['parse', 'config check', 'containerd-hosts']

function withWords(command: string): readonly string[] {
  return [...command.split(' '), ...(WORDS[command] ?? [])]
}

for (const command of Object.keys(COMMANDS).filter((each) => !ALONE.includes(each))) {
  test(`${command} ends with 1 when nobody can be asked, with 2 for a bad configuration`, async () => {
    const down = failing(new ResolveError('UNAVAILABLE', 'nobody is there'))
    const bad = failing(new ConfigError('f.yaml', [{ line: 1, path: 'x', message: 'wrong' }]))

    const asked = await runCli(withWords(command), down)
    const configured = await runCli(withWords(command), bad)

    assert.deepEqual([asked.code, asked.out], [1, ''])
    assert.equal(asked.err, 'image-resolver: nobody is there\n')
    assert.deepEqual([configured.code, configured.out], [2, ''])
    assert.match(configured.err, /f\.yaml:1: x: wrong\n$/)
  })
}

for (const command of ['config check', 'containerd-hosts']) {
  test(`${command} ends with 2 for a file that is not there`, async () => {
    const { code, err } = await runCli([...command.split(' '), '-f', '/nonexistent/f.yaml'])

    assert.equal(code, 2)
    assert.match(err, /\/nonexistent\/f\.yaml: there is no such file\n$/)
  })
}

for (const command of Object.keys(COMMANDS)) {
  test(`${command} ends with 2 for an option that it does not have, and prints nothing`, async () => {
    const { code, out } = await runCli([...withWords(command), '--nonsense'])

    assert.deepEqual([code, out], [2, ''])
  })
}

test('the table of exit codes says of each command what its help says of the same codes', () => {
  const page = readFileSync(new URL('../../../docs/command-line.md', import.meta.url), 'utf8')
  const [, table = ''] = /\| command \| 0 \| 1 \|\n\|[-|]+\n((?:\|.*\n)+)/.exec(page) ?? []
  const rows = table
    .trim()
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))

  for (const command of Object.keys(COMMANDS)) {
    const row = rows.find(([, names = '']) => names.includes(`\`${command}\``))
    assert.ok(row, command)
    assert.notEqual(row[2], '')
    assert.equal(row[3] !== '', helpFor(command)?.includes('\n  1  '), command)
  }
})
