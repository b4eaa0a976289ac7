import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CHECKS } from '../../src/doctor/doctor.ts'

test('docs/doctor.md explains each check of doctor, in the order of the report', () => {
  const [, table = ''] = readFileSync('docs/doctor.md', 'utf8').split('## The checks')
  const explained = [...table.matchAll(/^\| `([\w-]+)` \|/gm)].map(([, name]) => name)

  assert.deepEqual(explained, Object.keys(CHECKS))
})
