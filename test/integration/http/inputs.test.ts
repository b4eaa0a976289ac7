import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fastify } from 'fastify'
import { noCompilers, readInputs } from '../../../src/http/inputs.ts'

/** What `require` has loaded in this process, this file's imports among them. */
const { cache } = createRequire(import.meta.url)

test('queries are read without the framework loading its compilers', async (t) => {
  const app = fastify({ schemaController: noCompilers })
  t.after(() => app.close())
  readInputs(app)
  const querystring = { type: 'object', properties: { all: { type: 'boolean' } } }
  app.get('/', { schema: { querystring } }, ({ query }) => query)

  const { body } = await app.inject('/?all=true')

  const loaded = Object.keys(cache)
  assert.equal(body, '{"all":true}')
  assert.ok(loaded.some((file) => file.includes('/fastify/')))
  assert.deepEqual(
    loaded.filter((file) => /\/(?:ajv|ajv-compiler|fast-json-stringify-compiler)\//.test(file)),
    [],
  )
})
