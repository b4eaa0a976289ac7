import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { FAULTS } from './fault-list.ts'
import { measureAll } from './measure.ts'
import type { Row } from './row.ts'
import { PLACES } from './scene.ts'
import { judge } from './verdict.ts'

let rows: readonly Row[] = []

before(async () => {
  rows = await measureAll({ isTimed: false })
})

for (const { code, name, remembered = 'well' } of FAULTS) {
  const outcome = code === undefined ? 'is taken at its word' : `is ${code} and passed over`
  const memory = remembered === 'well' ? '' : `, and then left alone (${remembered})`
  test(`a registry that ${name} ${outcome}${memory}`, async (t) => {
    const ours = rows.filter(({ fault }) => fault.name === name)

    assert.deepEqual(
      ours.map(({ place }) => place),
      PLACES,
    )
    for (const row of ours) await t.test(row.place, () => judge(row))
  })
}
