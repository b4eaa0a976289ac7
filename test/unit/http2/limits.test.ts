import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { LIMITS } from '../../../src/http2/limits.ts'

const folder = new URL('../../../src/http2/', import.meta.url)
const page = readFileSync(new URL('README.md', folder), 'utf8')

test('the page of the folder has each bound, and each file', () => {
  const [, files = '', bounds = ''] =
    /## Files([\s\S]*)## States[\s\S]*## Bounds([\s\S]*)/.exec(page) ?? []

  for (const name of Object.keys(LIMITS)) assert.ok(bounds.includes(`\`${name}\``), name)
  for (const name of files.match(/[a-z0-9-/]+\.ts/g) ?? []) {
    assert.ok(existsSync(new URL(name, folder)), name)
  }
})
