import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ErrorResponse } from '../../api/v1/error.ts'
import { openapiDocument } from '../../scripts/openapi-document.ts'
import { httpStatus, requestStatus } from '../../src/http/error-response.ts'

const committed = fileURLToPath(new URL('../../openapi/openapi.yaml', import.meta.url))

test('openapi.yaml is what the code describes; npm run openapi writes it', async () => {
  const [generated, file] = await Promise.all([openapiDocument(), readFile(committed, 'utf8')])

  const paths = generated.match(/^ {2}\/\S+:$/gm) ?? []
  assert.ok(paths.length >= 13, `only ${paths.length} paths in the document`)
  assert.equal(file, generated)
})

test('the document names exactly the codes that the door can answer with', () => {
  const { code } = ErrorResponse.properties.errors.items.properties

  const known = [...Object.keys(httpStatus), ...Object.keys(requestStatus)]
  assert.deepEqual([...code.enum].sort(), known.sort())
})
