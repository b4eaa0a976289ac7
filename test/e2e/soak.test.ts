import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printReport } from '../soak/report.ts'
import { soak } from '../soak/soak.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const SECONDS = 25
const SEED = 4

test('under load, while everything below it fails by turns, no answer is wrong and nothing leaks', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return

  const report = await soak(t, { seconds: SECONDS, seed: SEED })

  assert.deepEqual(report.problems, [], printReport(report))
  for (const method of ['ImageStatus', 'ListImages', 'PullImage', 'RemoveImage', 'ResolveImage']) {
    // How often is the machine's affair.
    assert.ok(report.calls.count(method, 'OK') > 0, `${method}\n${printReport(report)}`)
  }
  assert.ok(report.calls.count('ImageStatus', 'UNAVAILABLE') > 0, 'the runtime was never away')
  assert.ok((report.events['file: bad'] ?? 0) > 0 && (report.events['file: good'] ?? 0) > 0)
})
