import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import {
  bashCompletion,
  commands,
  fishCompletion,
  manualPage,
  zshCompletion,
} from '../../scripts/release/completion.ts'
import { COMMANDS } from '../../src/cli/command-table.ts'
import { OPTIONS, type OptionName } from '../../src/cli/options.ts'
import { temporaryFolder } from '../support/stack.ts'

/** What bash offers for the last of these words. */
function completed(t: TestContext, ...words: string[]): readonly string[] {
  const file = join(temporaryFolder(t), 'completion')
  writeFileSync(file, bashCompletion())
  const script = `source "$1"; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _image_resolver; printf '%s\\n' "\${COMPREPLY[@]}"`
  const all = ['--norc', '-c', script, 'bash', file, 'image-resolver', ...words]
  const { stdout, stderr } = spawnSync('bash', all, { encoding: 'utf8' })
  assert.equal(stderr, '')
  return stdout.split('\n').filter((line) => line !== '')
}

test('bash completes commands, their second words, and the options of each', (t) => {
  assert.deepEqual(completed(t, 're'), ['resolve', 'registry'])
  assert.deepEqual(completed(t, 'registry', ''), ['status', 'images', 'tags'])
  assert.deepEqual(completed(t, 'resolve', 'nginx', '--pl'), ['--platform'])
  assert.deepEqual(completed(t, 'registry', 'tags', '--l'), ['--limit'])
  assert.deepEqual(completed(t, '--conf'), ['--config'])
})

test('every option that a command takes is known, but for other names of --config', () => {
  for (const { name, options } of commands()) {
    const taken = COMMANDS[name]?.options.filter((option) => option !== 'file') ?? []
    const known = options.map(({ long }) => long)
    assert.deepEqual([...known].sort(), [...taken].sort(), name)
  }
})

test('options that take a value say so', () => {
  const options = commands().flatMap((command) => command.options)
  for (const { long, takesValue, text } of options) {
    const isText = OPTIONS[long as OptionName]?.type === 'string'
    // `containerd-hosts --write DIR`, but `pin --write`.
    if (long !== 'write') assert.equal(takesValue, isText, long)
    assert.match(text, /^\S/, long)
  }
  assert.ok(options.some(({ long }) => long === 'runtime-endpoint'))
})

test('zsh takes the completion of bash', () => {
  assert.match(zshCompletion(), /^#compdef image-resolver\n.*bashcompinit/)
})

test('fish knows every option with its text', () => {
  const text = fishCompletion()

  assert.match(text, /seen_subcommand_from resolve' -l platform -r -d 'for example linux\/arm64/)
  assert.match(
    text,
    /seen_subcommand_from registry; and __fish_seen_subcommand_from tags' -l limit/,
  )
  for (const line of text.trim().split('\n')) assert.match(line, /^complete -c image-resolver -n /)
})

test('the manual page has every command, and no line that roff takes for a request', () => {
  const page = manualPage('1.2.3')

  for (const name of Object.keys(COMMANDS)) assert.ok(page.includes(`.SH "${name.toUpperCase()}"`))
  const requests = [...page.matchAll(/^[.'](\S*)/gm)].map(([, request]) => request)
  assert.deepEqual(new Set(requests), new Set(['TH', 'SH', 'B', 'nf', 'fi']))
})
