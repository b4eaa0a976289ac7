import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEWEST_MODULES, inspectOwnImports, proveRules } from '../support/boundaries.ts'

test('imports in src and api point down only, and the checker saw the modules', async () => {
  const { modules, imports, violations } = await inspectOwnImports()

  assert.ok(modules >= FEWEST_MODULES, `only ${modules} modules were seen`)
  assert.ok(imports >= modules, `only ${imports} imports were seen`)
  assert.deepEqual(violations, [])
})

test('every import rule finds each planted mistake and nothing else', async () => {
  const { planted, unseen, wronglySeen } = await proveRules()

  assert.ok(planted > 200, `only ${planted} mistakes were planted`)
  assert.deepEqual(unseen, [])
  assert.deepEqual(wronglySeen, [])
})
