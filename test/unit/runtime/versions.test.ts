import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CriVersion } from '../../../src/runtime/types.ts'
import { askedVersions, forcedVersion, type VersionAnswer } from '../../../src/runtime/versions.ts'

function runtime(answers: Partial<Record<CriVersion, VersionAnswer>>) {
  const asked: CriVersion[] = []
  const versions = askedVersions(async (version) => {
    asked.push(version)
    return answers[version] ?? 'unimplemented'
  })
  return { asked, versions, answers }
}

test('a version that the runtime serves is spoken as it is, and asked about once', async () => {
  const { asked, versions } = runtime({ v1: 'served', v1alpha2: 'served' })

  const both = await Promise.all([versions.of('v1'), versions.of('v1')])

  assert.deepEqual([...both, versions.of('v1')], ['v1', 'v1', 'v1'])
  assert.deepEqual(asked, ['v1'])
})

test('the other version is spoken where the runtime says Unimplemented to one', async () => {
  const older = runtime({ v1alpha2: 'served' })
  const newer = runtime({ v1: 'served' })

  assert.equal(await older.versions.of('v1'), 'v1alpha2')
  assert.equal(await newer.versions.of('v1alpha2'), 'v1')
  assert.deepEqual(older.asked, ['v1', 'v1alpha2'])
})

test('a runtime that does not answer is spoken to as its caller speaks, and asked again', async () => {
  const { asked, answers, versions } = runtime({ v1: 'unknown', v1alpha2: 'served' })

  const before = await versions.of('v1')
  answers.v1 = 'unimplemented'
  const after = await versions.of('v1')

  assert.deepEqual([before, after], ['v1', 'v1alpha2'])
  assert.deepEqual(asked, ['v1', 'v1', 'v1alpha2'])
})

test('the other version is spoken where one is Unimplemented and the other is not answered yet', async () => {
  const { answers, versions } = runtime({ v1: 'unknown' })

  const before = await versions.of('v1alpha2')
  answers.v1 = 'served'

  assert.equal(before, 'v1')
  assert.equal(await versions.of('v1alpha2'), 'v1')
})

test('a runtime without either is spoken to as its caller speaks', async () => {
  const { versions } = runtime({})

  assert.equal(await versions.of('v1alpha2'), 'v1alpha2')
})

test('a forced version is spoken for every caller', () => {
  assert.equal(forcedVersion('v1alpha2').of('v1'), 'v1alpha2')
})
