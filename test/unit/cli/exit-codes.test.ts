import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { COMMANDS } from '../../../src/cli/command-table.ts'
import type { CliContext } from '../../../src/cli/context.ts'
import { EXIT } from '../../../src/cli/exit-codes.ts'
import { helpFor } from '../../../src/cli/help.ts'
import { ConfigError } from '../../../src/config/diagnostics.ts'
import { ResolveError } from '../../../src/errors.ts'
import { runCli } from '../../support/cli.ts'

/** Whoever is asked, of whatever, fails so. */
function failing(error: Error): Partial<CliContext> {
  const fail = async () => {
    throw error
  }
  return {
    serve: fail,
    resolver: fail,
    node: fail,
    names: fail,
    registries: fail,
    examine: fail,
    stats: fail,
    fleet: fail,
  }
}

const folder = mkdtempSync(join(tmpdir(), 'exit-codes-'))
after(() => rmSync(folder, { recursive: true }))
const IMAGES = join(folder, 'images.txt')
writeFileSync(IMAGES, 'nginx:1.27\n')
const LOCK = join(folder, 'images.lock.yaml')
writeFileSync(LOCK, 'version: 1\nimages: {}\n')

/** Words that make each command go on to ask somebody. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  resolve: ['nginx'],
  'registry tags': ['hub', 'a'],
  pull: ['nginx'],
  rmi: ['nginx'],
  pin: [IMAGES],
  drift: ['--lock', LOCK],
}
/** These ask nobody of the context. */
const ALONE = ['parse', 'config check', 'containerd-hosts', 'install', 'uninstall', 'status']

function withWords(command: string): readonly string[] {
  return [...command.split(' '), ...(WORDS[command] ?? [])]
}

for (const command of Object.keys(COMMANDS).filter((each) => !ALONE.includes(each))) {
  test(`${command} ends with 6 when nothing answers, with 2 for a bad configuration`, async () => {
    const down = failing(new ResolveError('UNAVAILABLE', 'nothing is there'))
    const bad = failing(new ConfigError('f.yaml', [{ line: 1, path: 'x', message: 'wrong' }]))

    const asked = await runCli(withWords(command), down)
    const configured = await runCli(withWords(command), bad)

    assert.deepEqual([asked.code, asked.out], [6, ''])
    assert.equal(asked.err, 'image-resolver: nothing is there\n')
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

test('the exit code names the kind of failure, and the same for every command', async () => {
  const kinds = [
    ['NAME_INVALID', 3],
    ['PLATFORM_INVALID', 3],
    ['MANIFEST_UNKNOWN', 4],
    ['PLATFORM_UNKNOWN', 4],
    ['UNAUTHORIZED', 5],
    ['DENIED', 5],
    ['UNAVAILABLE', 6],
    ['DEADLINE_EXCEEDED', 6],
    ['TOOMANYREQUESTS', 6],
    ['NOT_AN_IMAGE', 1],
    ['DIGEST_INVALID', 1],
  ] as const
  for (const [code, expected] of kinds) {
    for (const command of ['resolve', 'pull', 'registry tags', 'stats']) {
      const fails = failing(new ResolveError(code, 'it fails'))

      const { code: exit } = await runCli(withWords(command), fails)

      assert.equal(exit, expected, `${command} ${code}`)
    }
  }
})

test('the table of exit codes has each code, in the words of the help', () => {
  const page = readFileSync(new URL('../../../docs/command-line.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (\d) \| ([^|]+?) \|/gm)]
  const general = helpFor('') ?? ''

  assert.deepEqual(
    rows.map(([, code]) => Number(code)),
    Object.values(EXIT),
  )
  for (const [, code, meaning = ''] of rows.slice(2)) {
    assert.ok(general.includes(`\n  ${code}  ${meaning}\n`), meaning)
  }
})
