import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Schema } from '../../../api/v1/schema.ts'
import { validateBody } from '../../../src/http/validation.ts'

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
