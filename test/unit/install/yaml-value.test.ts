import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isMap, isScalar, parseAllDocuments, stringify } from 'yaml'
import { withValue } from '../../../src/install/yaml-value.ts'

const FIELD = 'imageServiceEndpoint'
const ENDPOINT = 'unix:///run/image-resolver.sock'
const SET = `${FIELD}: ${ENDPOINT}`

/** Before and after; `E` is the endpoint, `F` the field. */
const EDITS: readonly (readonly [what: string, before: string, after: string])[] = [
  ['a value', 'F: unix:///a # c\nkind: K\n', 'F: E # c\nkind: K\n'],
  ['a value in quotes', `F: 'unix:///a'\n"F2": "x"\n`, `F: 'E'\n"F2": "x"\n`],
  ['a value on the next line', 'F:\n  unix:///a\nkind: K\n', 'F:\n  E\nkind: K\n'],
  ['a value on several lines', 'F: "unix:\\\n  ///a"\nkind: K\n', 'F: "E"\nkind: K\n'],
  ['a block', 'F: |-\n  unix:///a\nkind: K\n', 'F: E\nkind: K\n'],
  ['a block with a comment', 'F: >- # c\n  unix:///a\n\nkind: K\n', 'F: E # c\n\nkind: K\n'],
  ['a block at the end', 'kind: K\nF: |+\n  unix:///a\n\n', 'kind: K\nF: E\n'],
  ['no value', 'F:\nkind: K\n', 'F: E\nkind: K\n'],
  ['no value, with a comment', 'F: # none\nkind: K\n', 'F: E # none\nkind: K\n'],
  ['no value, at the end', 'kind: K\nF:', 'kind: K\nF: E'],
  ['null', 'F: ~ # c\n', 'F: E # c\n'],
  ['an alias', 'a: &x unix:///a\nF: *x\n', 'a: &x unix:///a\nF: E\n'],
  ['an anchor without an alias', 'F: &x unix:///a\n', 'F: &x E\n'],
  ['a tag', 'F: !!str unix:///a\n', 'F: !!str E\n'],
  ['no field', '# c\nkind: K\n# end\n', '# c\nkind: K\n# end\nF: E\n'],
  ['no field and no line end', '# c\nkind: K', '# c\nF: E\nkind: K'],
  ['no field and a last block without an end', 'kind: K\na: |\n  x', 'F: E\nkind: K\na: |\n  x'],
  ['an indented mapping', '  kind: K\n  a: [1]\n', '  kind: K\n  a: [1]\n  F: E\n'],
  ['a last list', 'kind: K\na:\n- 1\n', 'kind: K\na:\n- 1\nF: E\n'],
  ['a marker at the end', 'kind: K\n---\n', 'kind: K\nF: E\n---\n'],
  [
    'an end of the document',
    '%YAML 1.2\n---\nkind: K\n...\n# c\n',
    '%YAML 1.2\n---\nkind: K\nF: E\n...\n# c\n',
  ],
  ['several documents', '# c\n---\nkind: K\n---\nF: x\n', '# c\n---\nkind: K\nF: E\n---\nF: x\n'],
  ['a marker in a block', 'a: |\n  x\n  ---\nkind: K\n', 'a: |\n  x\n  ---\nkind: K\nF: E\n'],
  ['JSON', '{\n  "kind": "K"\n}\n', '{"F":"E",\n  "kind": "K"\n}\n'],
  ['JSON in one line', '{"F":"unix:///a","kind":"K"}', '{"F":"E","kind":"K"}'],
  ['a flow mapping', '{kind: K}\n', '{"F":"E",kind: K}\n'],
  ['a flow mapping with the field', '{F: unix:///a, kind: K}\n', '{F: "E", kind: K}\n'],
  ['a flow mapping with the field without a value', '{F, kind: K}\n', '{F: "E", kind: K}\n'],
  ['an empty flow mapping', '{} # c\n', '{"F":"E"} # c\n'],
  ['comments alone', '# c\n', '# c\nF: E\n'],
  ['nothing', '', 'F: E\n'],
  ['line ends of Windows', '# c\r\nkind: K\r\n', '# c\r\nkind: K\r\nF: E\r\n'],
  ['a byte order mark', '\uFEFFkind: K\n', '\uFEFFkind: K\nF: E\n'],
  ['a merge key', 'a: &x {F: unix:///a}\n<<: *x\n', 'a: &x {F: unix:///a}\n<<: *x\nF: E\n'],
  ['a key in quotes', '"F": unix:///a\n', '"F": E\n'],
]

function filled(text: string): string {
  return text.replace(/\bF\b/g, FIELD).replace(/\bE\b/g, ENDPOINT)
}

for (const [what, before, after] of EDITS) {
  test(`a file with ${what} gets the endpoint, and nothing else changes`, () => {
    assert.equal(withValue(filled(before), [FIELD], ENDPOINT), filled(after))
  })
}

test('an item of a list gets another text where it stands', () => {
  const path = ['kubelet-arg+', 1]
  const value = `image-service-endpoint=${ENDPOINT}`

  for (const [before, after] of [
    ['kubelet-arg+:\n- a\n- "x" # c\n', `kubelet-arg+:\n- a\n- "${value}" # c\n`],
    ['kubelet-arg+: [a, x, b]\n', `kubelet-arg+: [a, "${value}", b]\n`],
    ['kubelet-arg+:\n- a\n- |-\n  x\n- b\n', `kubelet-arg+:\n- a\n- ${value}\n- b\n`],
  ] as const) {
    assert.equal(withValue(before, path, value), after)
  }
})

for (const [what, text] of [
  ['a list in its place', `${FIELD}: [a]\n`],
  ['a mapping in its place', `${FIELD}:\n  a: 1\n`],
  ['a value that an alias elsewhere stands for', `${FIELD}: &x unix:///a\nb: *x\n`],
  ['a mistake', 'kind: [\n'],
  ['more than 64 KiB', `a: "${'x'.repeat(64 * 1024)}"\n`],
  ['a list at its top', '- a\n'],
  ['a tag of another kind', `${FIELD}: !!binary aGk=\n`],
] as const) {
  test(`a file with ${what} is not edited`, () => {
    assert.equal(withValue(text, [FIELD], ENDPOINT), undefined)
  })
}

/** Files as operators and programs write them: of any value, in any style, with comments, and documents after it. */
const texts = (() => {
  const scalar = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.constantFrom(
      'unix:///run/a.sock',
      '',
      '~',
      '# no comment',
      'a: b',
      '- x',
      '|',
      '"',
      "'",
      ' x ',
    ),
    fc.constantFrom('one\ntwo\n', 'one\n\ntwo', '  indented\nless\n', 'ends\n\n\n', '---\n'),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
  )
  const value = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: 'small' },
      scalar,
      fc.array(tie('node'), { maxLength: 3 }),
      tie('map'),
    ),
    map: fc.dictionary(fc.constantFrom('kind', 'a', 'b b', 'c', '0', 'true'), tie('node'), {
      maxKeys: 4,
    }),
  }))
  const style = fc.record({
    collectionStyle: fc.constantFrom('any', 'block', 'flow'),
    defaultStringType: fc.constantFrom(
      'PLAIN',
      'QUOTE_DOUBLE',
      'QUOTE_SINGLE',
      'BLOCK_LITERAL',
      'BLOCK_FOLDED',
    ),
    indent: fc.integer({ min: 1, max: 5 }),
    indentSeq: fc.boolean(),
    lineWidth: fc.constantFrom(0, 20, 80),
  } as const)
  const around = fc.record({
    before: fc.constantFrom('', '# c\n', '---\n', '%YAML 1.2\n---\n', '\n\n', '# c\n---\n# d\n'),
    after: fc.constantFrom('', '# c\n', '---\n', '...\n', '---\nkind: other\n', '\n# c\n\n'),
    indent: fc.constantFrom('', '', '  '),
    isEnded: fc.boolean(),
    isOfWindows: fc.boolean(),
  })
  return (
    fc
      .tuple(value.map, fc.option(scalar, { nil: undefined }), fc.boolean(), style, around)
      .map(([map, endpoint, isFirst, { defaultStringType, ...options }, more]) => {
        const own = endpoint === undefined ? {} : { [FIELD]: endpoint }
        const whole = isFirst ? { ...own, ...map } : { ...map, ...own }
        const body = stringify(whole, { ...options, defaultStringType, defaultKeyType: 'PLAIN' })
        const indented = body.replace(/^(?=.)/gm, more.indent)
        const isOpen = more.after === '' && !more.isEnded
        const text = `${more.before}${isOpen ? indented.replace(/\n$/, '') : indented}${more.after}`
        return more.isOfWindows ? text.replaceAll('\n', '\r\n') : text
      })
      // What is not YAML, or means something else in its place, is none of them.
      .filter((text) => parseAllDocuments(text).every(({ errors }) => errors.length === 0))
  )
})()

/** Where a text differs from another one. */
function changedPart(before: string, after: string): readonly [from: number, to: number] {
  let from = 0
  while (from < before.length && before[from] === after[from]) from += 1
  let same = 0
  const most = Math.min(before.length, after.length) - from
  while (same < most && before.at(-1 - same) === after.at(-1 - same)) same += 1
  return [from, before.length - same]
}

/** Of the field, from the end of its name. */
function placeOf(text: string): readonly [start: number, end: number] {
  const [document] = parseAllDocuments(text)
  assert.ok(document !== undefined)
  if (!isMap(document.contents)) return [0, 0]
  const pair = document.contents.items.find(({ key }) => isScalar(key) && key.value === FIELD)
  const [key, value] = [pair?.key, pair?.value]
  if (!isScalar(key) || !isScalar(value)) return [0, 0]
  return [key.range?.[1] ?? 0, value.range?.[2] ?? 0]
}

test('whatever a file has: one field becomes another, and every byte outside of it stays', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const [before] = parseAllDocuments(text)
      const edited = withValue(text, [FIELD], ENDPOINT)

      assert.ok(edited !== undefined, 'not edited')
      const [documents, now] = [parseAllDocuments(text), parseAllDocuments(edited)]
      assert.deepEqual(
        now.map((each) => each.toJS()),
        documents.map((each, index) =>
          index === 0 ? { ...Object(before?.toJS()), [FIELD]: ENDPOINT } : each.toJS(),
        ),
      )
      const [from, to] = changedPart(text, edited)
      const [start, end] = placeOf(text)
      assert.ok(from === to || (from >= start && to <= end), `${from}-${to}, ${start}-${end}`)
    }),
    { numRuns: 400 },
  )
})

test('with the value of before a file is the file of before, and the field that was added is all of a line', () => {
  fc.assert(
    fc.property(texts, (text) => {
      const edited = withValue(text, [FIELD], ENDPOINT) ?? ''
      const again = withValue(edited, [FIELD], 'unix:///other.sock') ?? ''

      assert.equal(withValue(again, [FIELD], ENDPOINT), edited)
      assert.equal(edited.split(ENDPOINT).length, 2)
      if (!text.includes(FIELD)) {
        const added = [`"${FIELD}":"${ENDPOINT}",`, `"${FIELD}":"${ENDPOINT}"`]
        const line = new RegExp(`^ *${SET}\r?\n`, 'm')
        const without = [edited.replace(line, ''), ...added.map((each) => edited.replace(each, ''))]
        assert.ok(without.includes(text), JSON.stringify(edited))
      }
    }),
    { numRuns: 200 },
  )
})
