import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BOOTED, examineNode, GOOD_NODES, plantNode } from '../../support/planted-node.ts'

for (const [name, tree] of Object.entries(GOOD_NODES)) {
  test(`nothing stands in the way on a node of the kind ${name}`, async (t) => {
    const root = await plantNode(t, BOOTED, tree)

    const { checked, findings, skipped } = await examineNode(root)

    assert.deepEqual(findings, [])
    assert.deepEqual(skipped, ['registries: not asked, since --offline or --root was given'])
    assert.ok(checked.length >= 25, String(checked.length))
  })
}
