import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseYaml } from '../../../src/config/yaml.ts'
import type { YamlNode } from '../../../src/yaml/node.ts'

function lines(node: YamlNode | undefined): unknown {
  if (node === undefined) return undefined
  if (node.kind === 'text') return `${node.text}@${node.line}`
  if (node.kind === 'list') return node.items.map(lines)
  return Object.fromEntries(
    [...node.fields].map(([name, { line, value }]) => [`${name}@${line}`, lines(value)]),
  )
}

test('every field and value knows its line, whatever the line ends are', () => {
  for (const lineBreak of ['\n', '\r\n', '\r']) {
    const text = ['# first', 'a: 1', 'b:', '  - x', "  - 'y'", 'c: {d: 2}'].join(lineBreak)

    const { root, problems } = parseYaml(text)

    assert.deepEqual(problems, [])
    assert.deepEqual(lines(root), {
      'a@2': '1@2',
      'b@3': ['x@4', 'y@5'],
      'c@6': { 'd@6': '2@6' },
    })
  }
})

test('an empty value stands on the line of its field', () => {
  const { root } = parseYaml('a: 1\nauth:\nb: 2\n')

  assert.deepEqual(lines(root), { 'a@1': '1@1', 'auth@2': '@2', 'b@3': '2@3' })
})

test('a byte order mark before the first field is not part of its name', () => {
  const { root } = parseYaml('\uFEFFshim: /x\n')

  assert.deepEqual(lines(root), { 'shim@1': '/x@1' })
})

for (const text of ['', '\n\n', '# nothing\n', '---\n', '---\n...\n', 'null\n', '~\n']) {
  test(`${JSON.stringify(text)} holds nothing and is no mistake`, () => {
    assert.deepEqual(parseYaml(text), { problems: [] })
  })
}

test('a merge key adds the fields of other maps, which lose against those beside it', () => {
  const { root, problems } = parseYaml(`
one: &one {a: 1, b: 1}
two: &two {b: 2, c: 2}
both: {<<: [*one, *two], a: 0}
nested: {<<: {d: 3}, '<<': text}
chain: &chain {<<: *one, e: 5}
last: {<<: *chain}
`)
  const fields = (name: string): unknown => {
    const value = root?.kind === 'map' ? root.fields.get(name)?.value : root
    return value?.kind === 'map'
      ? Object.fromEntries(
          [...value.fields].map(
            ([
              key,
              {
                value: { ...node },
              },
            ]) => [key, 'text' in node ? node.text : ''],
          ),
        )
      : undefined
  }

  assert.deepEqual(problems, [])
  assert.deepEqual(fields('both'), { a: '0', b: '1', c: '2' })
  assert.deepEqual(fields('nested'), { d: '3', '<<': 'text' })
  assert.deepEqual(fields('last'), { a: '1', b: '1', e: '5' })
})

test('aliases below merge keys cannot make a small file a large one', () => {
  const many = Array.from({ length: 100 }, (_, index) => `k${index}: 1`).join(', ')
  const maps = Array.from(
    { length: 200 },
    (_, index) => `m${index}: {<<: [${'*a, '.repeat(50)}*a]}`,
  )
  const { problems } = parseYaml([`a: &a {${many}}`, ...maps].join('\n'))

  assert.ok(problems.length > 0)
  assert.match(problems[0]?.message ?? '', /more than 10000 fields/)
})

test('no small file becomes a large one by its aliases', () => {
  const many = Array.from({ length: 9_000 }, (_, index) => `k${index}: 1`).join(', ')
  const nested = Array.from(
    { length: 12 },
    (_, index) =>
      `n${index}: &n${index} [${Array(10)
        .fill(`*n${index - 1}`)
        .join(',')}]`,
  )
  const files = [
    `a: &a {${many}}\nb:\n  <<: [${'*a,'.repeat(99_999)}*a]\n`,
    `registries:\n  - &a {${many}}\n${'  - *a\n'.repeat(200)}`,
    `x: &n-1 [x]\n${nested.join('\n')}\n`,
  ]

  for (const file of files) {
    const { problems } = parseYaml(file)
    assert.match(problems[0]?.message ?? '', /aliases add more than 100000 values/)
    assert.ok(problems.length <= 2)
  }
})

test('files of ordinary size may use aliases as they like', () => {
  const { problems } = parseYaml(
    `a: &a {b: [1, 2, 3], c: {d: 1}}\nlist: [${Array(5_000).fill('*a').join(', ')}]\n`,
  )

  assert.deepEqual(problems, [])
})

test('a list that ends in the column of its field, and a tab between values, are taken with their lines', () => {
  const { root, problems } = parseYaml('a: [\n  x,\n]\nb:\t{c:\t1\n}\nd: 2\n')

  assert.deepEqual(problems, [])
  assert.deepEqual(lines(root), { 'a@1': ['x@2'], 'b@4': { 'c@4': '1@4' }, 'd@6': '2@6' })
})

test('an alias stands for the value that its anchor marks', () => {
  const { root, problems } = parseYaml('a: &secret u:p\nb: *secret\n')

  assert.deepEqual(problems, [])
  assert.deepEqual(lines(root), { 'a@1': 'u:p@1', 'b@2': 'u:p@1' })
})

test('a mistake in a field without a name stands where its fields begin', () => {
  const { problems } = parseYaml('a:\n  ? \n  ? \n')

  assert.deepEqual(
    problems.map(({ line, column }) => [line, column]),
    [[2, 3]],
  )
})

const MISTAKES: readonly (readonly [string, number, string, RegExp])[] = [
  ['a: 1\nb: 2\na: 3\n', 3, 'a', /written twice, first on line 1/],
  ['r:\n- x: 1\n  x: 2\n', 3, 'r[0].x', /written twice, first on line 2/],
  ['a: 1\n---\nb: 2\n', 3, '', /a second YAML document/],
  ['a: *gone\n', 1, 'a', /an alias of an anchor that is not there/],
  ['a:\n  <<: text\n', 2, 'a."<<"', /a merge key takes fields/],
  ['a: &self\n  b: *self\n', 2, 'a.b', /an alias of an anchor that is not there/],
  ['a: !!binary aGk=\n', 1, 'a', /tags are not used here/],
  ['a: 1\n? [x]\n: 2\n', 2, '', /the name of a field must be plain text/],
  ['a: &a {b: 1}\nc: {*a : 1}\n', 2, 'c', /the name of a field must be plain text/],
  ['a: &a b\nb: 1\n*a : 2\n', 3, 'b', /written twice, first on line 2/],
  ['a: 1\nb: c: d\n', 2, '', /not valid YAML: bad indentation of a mapping entry/],
  ['a: b\n]\n', 2, '', /not valid YAML/],
  ['a: [\n]\nb: c\n}\nd: e\n', 2, '', /not valid YAML/],
  ['a: 1\nb: [c', 2, '', /not valid YAML: unexpected end of the stream/],
  ['a:\n\tb: 1\n', 2, '', /not valid YAML: tab characters/],
  ['a: "x\n', 2, '', /not valid YAML/],
  ['a: \u0000\n', 1, '', /not valid YAML: null byte/],
  [`a: ${'['.repeat(200)}`, 1, '', /not valid YAML: it is nested more than 100 levels deep/],
]

for (const [text, line, path, message] of MISTAKES) {
  test(`${JSON.stringify(text.slice(0, 30))} is a mistake on line ${line}`, () => {
    const { problems } = parseYaml(text)

    assert.equal(problems.length, 1)
    assert.equal(problems[0]?.line, line)
    assert.equal(problems[0]?.path, path)
    assert.match(problems[0]?.message ?? '', message)
  })
}

test('a mistake in the syntax does not repeat what stands there', () => {
  const { problems } = parseYaml('auth: !passw0rd!x\n')

  assert.equal(problems.length, 1)
  assert.doesNotMatch(problems[0]?.message ?? '', /passw0rd/)
})
