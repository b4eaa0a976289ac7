import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeProblem } from '../../../src/config/diagnostics.ts'
import { problemsIn } from '../../support/config.ts'
import { cpuMs } from '../../support/cpu-time.ts'

/** What is printed of the first mistake in a text. */
function told(text: string): readonly string[] {
  const [problem] = problemsIn(text)
  assert.ok(problem, 'a mistake')
  return describeProblem('f.yaml', problem).split('\n')
}

interface Case {
  readonly cause: string
  readonly text: string
  readonly place: string
  readonly hint: RegExp
  readonly shown: string
  /** Columns before the caret. */
  readonly caret: number
}

const CASES: readonly Case[] = [
  {
    cause: 'a tab',
    text: 'cache:\n\ttagTTL: 1m\n',
    place: 'f.yaml:2:1: ',
    hint: /indent with spaces/,
    shown: '→tagTTL: 1m',
    caret: 0,
  },
  {
    cause: 'a colon in a value',
    text: 'debug: true\nshim: path: /x\n',
    place: 'f.yaml:2:11: ',
    hint: /a colon and a space in it has to be in quotes/,
    shown: 'shim: path: /x',
    caret: 10,
  },
  {
    cause: 'a value with a star',
    text: 'mirrorsOnly:\n- docker.io\n- *.k8s.io\n',
    place: 'f.yaml:3:3: mirrorsOnly[1]: ',
    hint: /begins with \* has to be in quotes/,
    shown: '- *.k8s.io',
    caret: 2,
  },
  {
    cause: 'a value with an at sign',
    text: 'address: @hub\n',
    place: 'f.yaml:1:10: ',
    hint: /begins with @, ` or % has to be in quotes/,
    shown: 'address: @hub',
    caret: 9,
  },
  {
    cause: 'a field twice',
    text: 'debug: true\ndebug: false\n',
    place: 'f.yaml:2:1: debug: ',
    hint: /written twice, first on line 1; keep one of them/,
    shown: 'debug: false',
    caret: 0,
  },
  {
    cause: 'a field twice in a list',
    text: 'registries:\n- priority: 1\n  address: a\n  priority: 2\n',
    place: 'f.yaml:4:3: registries[0].priority: ',
    hint: /written twice, first on line 2/,
    shown: '  priority: 2',
    caret: 2,
  },
  {
    cause: 'a template without quotes',
    text: 'registries:\n- address: a\n  path: {domain}/{path}\n',
    place: 'f.yaml:3:17: ',
    hint: /begins with \{ or \[ has to be in quotes/,
    shown: '  path: {domain}/{path}',
    caret: 16,
  },
  {
    cause: 'a field further right than the one above',
    text: 'image: /x\n  debug: true\n',
    place: 'f.yaml:2:8: ',
    hint: /begin in the same column as the one above/,
    shown: '  debug: true',
    caret: 7,
  },
  {
    cause: 'a field between two columns',
    text: 'registries:\n  - address: a\n   priority: 5\n',
    place: 'f.yaml:3:4: ',
    hint: /begin in the same column/,
    shown: '   priority: 5',
    caret: 3,
  },
  {
    cause: 'a missing colon',
    text: 'registries\n  - address: a\n',
    place: 'f.yaml:2:12: ',
    hint: /colon, which is missing in the line above/,
    shown: '  - address: a',
    caret: 11,
  },
  {
    cause: 'a bracket that stays open',
    text: 'mirrorsOnly: [a, b\naddress: x\n',
    place: 'f.yaml:2:1: ',
    hint: /opened above is not closed/,
    shown: 'address: x',
    caret: 0,
  },
  {
    cause: 'text behind a quote',
    text: "shim: '/it's'\n",
    place: 'f.yaml:1:12: ',
    hint: /nothing may follow the quote/,
    shown: "shim: '/it's'",
    caret: 11,
  },
]

for (const { cause, text, place, hint, shown, caret } of CASES) {
  test(`${cause} is shown with its place, and how to mend it`, () => {
    const [head = '', ...below] = told(text)

    assert.ok(head.startsWith(place), head)
    assert.match(head, hint)
    assert.deepEqual(below, [`    ${shown}`, `    ${' '.repeat(caret)}^`])
  })
}

const SECRET = 'hunter2'

for (const text of [
  `auth: user:${SECRET}: x\n`,
  `auth: @${SECRET}\n`,
  `auth: *${SECRET}\n`,
  `auth: "user:${SECRET}\n  ${SECRET}\n`,
  `auth: "user:\n  ${SECRET}"${SECRET}\n`,
  `auth: |\n  a\n b ${SECRET}: x\n`,
  `\tauth: ${SECRET}\n`,
  `debug: true\n\tpasword: ${SECRET}\n`,
  `\tpassword:${SECRET}\n`,
  `registries: [{address: a, auth: ${SECRET}]\n`,
  `registries: [{address: a, auht: ${SECRET}]\n`,
  `registries: [{"address": a, "password": ${SECRET}]\n`,
  `address: http://user:${SECRET}@hub: x\n`,
  `proxy:\n\thttps: user:${SECRET}@hub\n`,
  `address: a: b # was ${SECRET}\n`,
  `root:$6$${SECRET}:1\nuser:${SECRET}: x\n  a: b\n`,
  `${SECRET}\n  a: b: c ${SECRET}\n`,
  `keychain:\n- @${SECRET}: x\n- password: ${SECRET}\n`,
  `${'x: 1\n'.repeat(3)}http:\n  token: *${SECRET}\n`,
  `auth: ${SECRET}: 1\nauth: ${SECRET}: 2\n`,
  `auth: a:${SECRET}\nauth: b:${SECRET}\n`,
]) {
  test(`${JSON.stringify(text)} is a mistake, and its secret is not shown`, () => {
    const lines = problemsIn(text).map((problem) => describeProblem('f.yaml', problem))

    assert.ok(lines.length > 0)
    assert.doesNotMatch(lines.join('\n'), new RegExp(SECRET))
  })
}

test('a caret behind what is hidden stands where that begins', () => {
  const [, shown, caret] = told('auth: user:pass: word\n')

  assert.equal(shown, '    auth:…')
  assert.equal(caret, '         ^')
})

test('a line of a megabyte is shown by its beginning, at once', () => {
  const [, shown = ''] = told(`shim: ${'a'.repeat(900_000)}: b\n`)

  assert.ok(shown.length < 120, `${shown.length} characters`)
})

test('very many mistakes on lines without a name are all reported', () => {
  let problems: readonly unknown[] = []
  const ms = cpuMs(() => {
    problems = problemsIn(`mirrorsOnly:\n${'- *a\n'.repeat(150_000)}`)
  })

  assert.equal(problems.length, 100)
  assert.ok(ms < 10_000, `${ms} ms`)
})

test('a file that is no list of fields is refused with the form of a field', () => {
  assert.deepEqual(told('address:http://a\n'), [
    'f.yaml:1: expected fields with values, got text; write `name: value`, with a space after the colon',
  ])
})
