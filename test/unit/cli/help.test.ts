import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { COMMANDS } from '../../../src/cli/command-table.ts'
import { helpFor } from '../../../src/cli/help.ts'
import { readArguments } from '../../../src/cli/options.ts'
import { runCli } from '../../support/cli.ts'

const GROUPS = ['registry', 'config']
const PAGES = [...Object.keys(COMMANDS), ...GROUPS]
/** Values that stay empty mean nothing else. */
const WITH_VALUE = [
  'config',
  'portoshim',
  'platform',
  'limit',
  'domain',
  'write',
  'server',
  'format',
  'lock',
  'path',
  'arg',
]

function pageOf(command: string): string {
  const page = helpFor(command)
  assert.ok(page, command)
  return page
}

/** The lines below `title:`, up to the next empty one. */
function section(page: string, title: RegExp): readonly string[] {
  const lines = page.split('\n')
  const from = lines.findIndex((line) => title.test(line))
  assert.ok(from >= 0, `${title} in\n${page}`)
  const rest = lines.slice(from + 1)
  return rest.slice(0, rest.indexOf(''))
}

/** The words of each example line up to its end, a pipe or its remark. */
function examplesOf(page: string): readonly (readonly string[])[] {
  const lines = section(page, /^Examples?:$/).filter((line) => /^ {2}image-resolver/.test(line))
  return lines.map((line) => {
    const [written = ''] = line.trim().split(/ {2,}| \|/)
    return written.split(' ').slice(1)
  })
}

for (const command of PAGES) {
  test(`the help of ${command} says how it is written, what it does, and what its end means`, () => {
    const page = pageOf(command)
    const [usage = '', empty, sentence = ''] = page.split('\n')

    assert.match(usage, /^Usage: image-resolver /)
    assert.ok(usage.replace(/[[\]]/g, '').includes(command), usage)
    assert.equal(empty, '')
    assert.match(sentence, /^[A-Z]/)
    assert.ok(section(page, /^Options:$/).length > 0)
    const codes = section(page, /^Exit codes:$/)
    assert.ok(
      codes.every((line) => /^ {2}[0-6] {2}\S/.test(line)),
      codes.join('\n'),
    )
    assert.match(codes[0] ?? '', /^ {2}0 /)
    assert.ok(codes.some((line) => /^ {2}2 {2}wrong use/.test(line)))
    assert.deepEqual(codes, codes.toSorted())
    assert.ok(page.split('\n').every((line) => line.length <= 100))
  })

  test(`the examples in the help of ${command} are commands that there are`, () => {
    const examples = examplesOf(pageOf(command))

    assert.ok(examples.length > 0)
    for (const words of examples) {
      const { values, positionals } = readArguments(words)
      const name = [positionals.slice(0, 2).join(' '), positionals[0] ?? 'serve'].find(
        (each) => COMMANDS[each] !== undefined,
      )
      assert.ok(name, words.join(' '))
      const { options, words: allowed = { min: 0, max: 0 } } = COMMANDS[name] ?? assert.fail(name)
      const rest = positionals.length - (positionals.length === 0 ? 0 : name.split(' ').length)
      assert.ok(rest >= allowed.min && rest <= allowed.max, words.join(' '))
      assert.deepEqual(
        Object.keys(values).filter((option) => !options.some((has) => has === option)),
        [],
      )
    }
  })
}

for (const [command, { options }] of Object.entries(COMMANDS)) {
  test(`the help of ${command} has each of its options, with its default, and no other`, () => {
    const lines = section(pageOf(command), /^Options:$/)
    // What is indented further goes on with the option above.
    const entries = lines.join('\n').split(/\n(?= {2}-| {6}--)/)
    const named = entries.map((entry) => /--([\w-]+)/.exec(entry)?.[1] ?? '')

    assert.deepEqual(named.toSorted(), options.filter((option) => option !== 'file').toSorted())
    for (const [index, name] of named.entries()) {
      const takesNone = command === 'pin' && name === 'write'
      if (WITH_VALUE.includes(name) && !takesNone)
        assert.match(entries[index] ?? '', /default:/, name)
    }
  })
}

test('help is given by an option or by a command, for all, for groups and for each', async () => {
  for (const args of [['--help'], ['-h'], ['help']]) {
    const { code, out } = await runCli(args)

    assert.equal(code, 0)
    assert.match(out, /^image-resolver: which image[\s\S]*\nExit codes:\n[\s\S]*\nExamples:\n/)
  }
  for (const command of PAGES) {
    const words = command.split(' ')

    assert.deepEqual(await runCli([...words, '--help']), { code: 0, out: pageOf(command), err: '' })
    assert.deepEqual(await runCli(['help', ...words]), { code: 0, out: pageOf(command), err: '' })
  }
})

test('the page about the command line has every command', () => {
  const url = new URL('../../../docs/command-line.md', import.meta.url)
  const page = readFileSync(url, 'utf8')
  const table = page.split('\n').filter((line) => /^\| (?:`|none)/.test(line))

  const missing = Object.keys(COMMANDS).filter(
    (command) => !table.some((line) => line.split('|')[1]?.includes(`\`${command}`)),
  )

  assert.deepEqual(missing, [])
})
