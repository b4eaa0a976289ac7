import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'

interface Locked {
  readonly version?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

// npm install leaves out the packages for other systems when its registry has none of them, and
// npm ci refuses a lock file without them, on every system.
test('the lock file has every optional package, those for other systems too', () => {
  const file = resolve(import.meta.dirname, '../../package-lock.json')
  const packages: Readonly<Record<string, Locked>> = JSON.parse(readFileSync(file, 'utf8')).packages
  const wanted = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).map((name) => ({ path, name })),
  )

  const missing = wanted.filter(
    ({ path, name }) =>
      (packages[`node_modules/${name}`] ?? packages[`${path}/node_modules/${name}`])?.version ===
      undefined,
  )

  assert.ok(wanted.length > 0, 'no optional package was seen')
  assert.deepEqual(missing, [])
})
