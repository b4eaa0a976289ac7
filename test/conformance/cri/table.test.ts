import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NUMBERS, type Result, tableOf } from './table.ts'

const passed = (name: string): Result => ({ name, result: 'passed' })
const all = NUMBERS.map((number) => passed(`cri-${number} containerd: holds`))

test('the table has all 45 behaviours, and the runtimes that showed them', () => {
  const more = [passed('cri-13a crio-like: holds'), passed('cri-44 scripted: holds, too')]

  const { lines, problems } = tableOf([...all, ...more])

  assert.equal(NUMBERS.length, 45)
  assert.equal(lines.length, 1 + 45 + 1)
  assert.match(lines.find((line) => line.startsWith('13a')) ?? '', /passed +passed +- +-$/)
  assert.match(lines.find((line) => line.startsWith('44 holds, too')) ?? '', /- +- +- +passed$/)
  assert.deepEqual(problems, [])
})

test('a behaviour without a test, and whatever failed, is a problem', () => {
  const failed: Result[] = [
    { name: 'cri-07 containerd: holds', result: 'failed' },
    { name: '/a/file.test.ts', result: 'failed' },
  ]

  const { lines, problems } = tableOf([...all.slice(1), ...failed])

  assert.match(lines.find((line) => line.startsWith('07')) ?? '', /failed/)
  assert.deepEqual([...problems].sort(), [
    'failed: /a/file.test.ts',
    'failed: cri-07 containerd: holds',
    'no test of cri-01',
  ])
})

test('what was skipped is shown as that', () => {
  const skipped: Result = { name: 'cri-01 containerd: holds', result: 'skipped' }

  const { lines, problems } = tableOf([skipped, ...all.slice(1)])

  assert.match(lines[1] ?? '', /^01 holds +skipped/)
  assert.deepEqual(problems, [])
})
