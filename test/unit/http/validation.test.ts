import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PageQuery } from '../../../api/v1/registries.ts'
import { ResolveQuery } from '../../../api/v1/resolve.ts'
import type { Schema } from '../../../api/v1/schema.ts'
import { readQuery, validateBody } from '../../../src/http/inputs.ts'

test('true and false become booleans, everything else stays text', () => {
  const read = readQuery(ResolveQuery, { ref: 'true', refresh: 'true', node: 'false' })

  assert.deepEqual(read, { value: { ref: 'true', refresh: true, node: false } })
})

const refused: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ['a missing reference', {}, /'ref' is missing/],
  ['a reference given twice', { ref: ['a', 'b'] }, /'ref' is given twice/],
  ['a flag given twice', { ref: 'a', node: ['true', 'true'] }, /'node' is given twice/],
  ['an unknown name', { ref: 'a', plattform: 'x' }, /'plattform'; known are ref, platform, refr/],
  ['a name of the prototype', { ref: 'a', toString: 'x' }, /unknown query parameter 'toString'/],
  ['a flag of 1', { ref: 'a', refresh: '1' }, /'refresh' must be true or false/],
  ['a flag of TRUE', { ref: 'a', refresh: 'TRUE' }, /'refresh' must be true or false/],
  ['an empty flag', { ref: 'a', explain: '' }, /'explain' must be true or false/],
]

for (const [what, query, message] of refused) {
  test(`${what} is refused by name`, () => {
    const read = readQuery(ResolveQuery, query)

    assert.ok('error' in read)
    assert.match(read.error.message, message)
  })
}

test('a long unknown name is cut in the message', () => {
  const read = readQuery(ResolveQuery, { ['x'.repeat(9000)]: '1' })

  assert.ok('error' in read)
  assert.ok(read.error.message.length < 200)
})

const numbers: readonly (readonly [string, number | undefined])[] = [
  ['1', 1],
  ['0010', 10],
  ['1000', 1000],
  ['0', undefined],
  ['1001', undefined],
  ['1.5', undefined],
  ['-1', undefined],
  ['1e2', undefined],
  ['', undefined],
  ['9'.repeat(30), undefined],
]

for (const [text, number] of numbers) {
  test(`a number of '${text}' is ${number ?? 'refused'}`, () => {
    const read = readQuery(PageQuery, { n: text })

    if (number !== undefined) assert.deepEqual(read, { value: { n: number } })
    else assert.match(String('error' in read && read.error), /'n' must be a whole number from 1/)
  })
}

const schema: Schema = {
  type: 'object',
  required: ['names'],
  properties: {
    names: { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string' } },
    loud: { type: 'boolean' },
  },
}

const fitting: readonly unknown[] = [
  { names: ['a'] },
  { names: ['a', 'b'], loud: false },
  { names: [''] },
]

for (const value of fitting) {
  test(`${JSON.stringify(value)} fits`, () => {
    assert.equal(validateBody(schema, value), undefined)
  })
}

const misfits: readonly (readonly [string, string])[] = [
  ['null', 'the body must be a JSON object'],
  ['[]', 'the body must be a JSON object'],
  ['1', 'the body must be a JSON object'],
  ['{}', "the field 'names' is missing"],
  ['{"names":"a"}', "'names' must be a list"],
  ['{"names":[]}', "'names' must have 1 to 2 items, not 0"],
  ['{"names":["a",null]}', "'names'[1] must be text"],
  ['{"names":["a"],"loud":"yes"}', "'loud' must be a boolean"],
  ['{"names":["a"],"load":true}', "unknown field 'load'; known are names, loud"],
  ['{"names":["a"],"__proto__":{}}', "unknown field '__proto__'; known are names, loud"],
  ['{"names":["a"],"toString":1}', "unknown field 'toString'; known are names, loud"],
]

for (const [text, problem] of misfits) {
  test(`${text} does not fit, and why is said by name`, () => {
    assert.equal(validateBody(schema, JSON.parse(text)), problem)
  })
}
