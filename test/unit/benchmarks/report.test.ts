import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PartResult, withEarlierRuns } from '../../../benchmarks/report.ts'

function result(commit: string, measured: number): PartResult {
  const machine = { cpu: '', cpus: 2, memoryGiB: 4, system: '', node: '', commit }
  const budget = { what: 'a', unit: 'ms', budget: 5, bound: 'at most', measured } as const
  return { part: 'p', title: 'P', tookSeconds: 1, machine, tables: [], budgets: [budget] }
}

function runsOf({ budgets = [] }: PartResult): readonly (readonly number[] | undefined)[] {
  return budgets.map(({ runs }) => runs)
}

test('a result holds what the last three runs of its commit have measured', () => {
  const first = withEarlierRuns(result('c', 1), undefined)
  const second = withEarlierRuns(result('c', 2), first)
  const third = withEarlierRuns(result('c', 3), second)

  assert.deepEqual(runsOf(second), [[1, 2]])
  assert.deepEqual(runsOf(withEarlierRuns(result('c', 4), third)), [[2, 3, 4]])
})

test('runs of another commit are not counted', () => {
  const before = withEarlierRuns(result('c', 1), undefined)

  assert.deepEqual(runsOf(withEarlierRuns(result('d', 2), before)), [[2]])
})

test('what has budgets of two units has runs of its own for each', () => {
  const both = (ms: number, requests: number): PartResult => {
    const [time] = result('c', ms).budgets ?? []
    assert.ok(time)
    return {
      ...result('c', ms),
      budgets: [time, { ...time, unit: 'requests', measured: requests }],
    }
  }
  const first = withEarlierRuns(both(1, 10), undefined)

  const second = withEarlierRuns(both(2, 20), first)

  const runs = [
    [1, 2],
    [10, 20],
  ]
  assert.deepEqual(runsOf(second), runs)
})
