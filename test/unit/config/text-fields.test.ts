import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dump } from 'js-yaml'
import { ConfigFile } from '../../../api/v1/config.ts'
import type { Schema, TextSchema } from '../../../api/v1/schema.ts'
import { loadText, problemsIn } from '../../support/config.ts'

interface TextField {
  readonly path: string
  readonly schema: TextSchema
  /** The field alone in a file, with this value. */
  file(value: unknown): object
}

/** Every text of the schema, items of lists too. */
function textsIn(schema: Schema, path: string, file: TextField['file']): readonly TextField[] {
  if (schema.type === 'object') {
    const prefix = path === '' ? '' : `${path}.`
    return Object.entries(schema.properties).flatMap(([key, field]) =>
      textsIn(field, `${prefix}${key}`, (value) => file({ [key]: value })),
    )
  }
  if (schema.type === 'array') return textsIn(schema.items, `${path}[0]`, (value) => file([value]))
  return schema.type === 'string' ? [{ path, schema, file }] : []
}

const FIELDS = textsIn(ConfigFile, '', (value) => value as object)

/** Names and secrets of accounts, which are digits alone now and then. */
function isTakenAsWritten({ path, schema }: Pick<TextField, 'path' | 'schema'>): boolean {
  return schema.writeOnly === true || path.endsWith('.username')
}

/** Names of fields, wherever they are, that name a file with a secret. */
const SECRET_FILES = /(?:File|\bkey|\bkubeconfig|\bdockerConfigs\[0\]|\bpullSecrets\[0\])$/

test('a number in the place of a text is a mistake of its field, with its line and what to do', () => {
  assert.ok(FIELDS.length > 60, `${FIELDS.length} fields`)
  for (const { file, path, schema } of FIELDS) {
    if (isTakenAsWritten({ path, schema })) continue
    const text = dump(file(5.25))
    const line = text.split('\n').findIndex((each) => each.endsWith(' 5.25')) + 1

    const found = problemsIn(text).find((problem) => problem.path === path)

    assert.equal(found?.line, line, path)
    const own = schema.orNumber === true
    const expected = own ? /write/ : schema.enum === undefined ? /, put it in quotes$/ : / or /
    assert.match(found?.message ?? '', expected, path)
  }
})

test('true and false, infinity, and numbers of other bases are no text either, unless they are quoted', () => {
  for (const value of [
    'true',
    'False',
    '.inf',
    '-.INF',
    '.nan',
    '0x1f',
    '0o17',
    '1e3',
    '+7',
    '.5',
  ]) {
    const [problem] = problemsIn(`proxy:\n  no: ${value}\n`)
    assert.match(
      problem?.message ?? '',
      /^expected text, got (?:a number|true or false); if/,
      value,
    )
    assert.deepEqual(problemsIn(`proxy: {no: "${value}"}\n`), [])
  }
  for (const value of ['1.2.3', '0x', '1e', 'yes', '10.0.0.1', '5m', '-x', '0b1', '1_000']) {
    assert.deepEqual(problemsIn(`proxy:\n  no: ${value}\n`), [])
  }
})

test('names and secrets of accounts that are digits alone are taken as they are written', () => {
  for (const written of ['0123', '12345678901234567890', '1e5', '5.20', 'true']) {
    const { config } = loadText(
      `registries: [{address: "r.example.com", username: ${written}, password: ${written}}]\nhttp: {token: ${written}}\n`,
    )

    const [entry] = config.registries
    assert.equal(config.http.token, written)
    assert.deepEqual(entry?.credentials, {
      kind: 'basic',
      username: written,
      password: written,
    })
  }
})

test('a secret in the place of the file that holds it is not repeated', () => {
  const fields = FIELDS.filter(({ path }) => SECRET_FILES.test(path) && path !== 'configMap.key')
  assert.ok(fields.length >= 12, fields.map(({ path }) => path).join())
  for (const { file, path } of fields) {
    const isKey = path === 'cache.shared.key'
    for (const secret of [
      'hunter2',
      'file:hunter2',
      '-----BEGIN KEY-----\nhunter2\n',
      'a/hunter2',
    ]) {
      if (isKey !== secret.startsWith('file:')) continue
      const text = dump(file(secret)).replace('- passwordFile', '- username: u\n    passwordFile')
      const found = problemsIn(text).find((problem) => problem.path === path)

      assert.match(found?.message ?? '', /^looks like the secret itself; write the path of a/, path)
      assert.doesNotMatch(JSON.stringify(problemsIn(text)), /hunter2/, path)
    }
  }
})
