import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { status } from '@grpc/grpc-js'
import { grpcStatus } from '../../src/cri/grpc.ts'
import { httpStatus, requestStatus } from '../../src/http/error-response.ts'
import { tableRows } from '../support/http-app.ts'

const page = fileURLToPath(new URL('../../docs/errors.md', import.meta.url))

/** Code, HTTP status and third cell of each row that begins with a code. */
async function documented(): Promise<(readonly [code: string, http: number, third: string])[]> {
  const rows = await tableRows(page)
  const coded = rows.filter(([first = '']) => /^`[A-Z_]+`$/.test(first))
  assert.ok(coded.length > 0, 'no table of codes in docs/errors.md')
  return coded.map(([code = '', http = '', third = '']) => [code.slice(1, -1), Number(http), third])
}

test('docs/errors.md lists every code once, with its HTTP status, and no other', async () => {
  const rows = await documented()

  const found = rows.map(([code, http]) => `${code} ${http}`).sort()
  const statuses = Object.entries({ ...httpStatus, ...requestStatus })
  assert.deepEqual(found, statuses.map(([code, http]) => `${code} ${http}`).sort())
})

test('docs/errors.md gives every code of the resolver its gRPC status', async () => {
  const rows = await documented()

  const found = rows.filter(([code]) => code in grpcStatus).map(([code, , name]) => [code, name])
  const statuses = Object.entries(grpcStatus).map(([code, number]) => [code, status[number]])
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(statuses))
})

test('docs/errors.md says of every code what it means and what to do', async () => {
  const rows = await tableRows(page)

  for (const row of rows) {
    assert.ok(
      row.every((cell) => cell.length > 0),
      `an empty cell: ${row.join(' | ')}`,
    )
  }
})
