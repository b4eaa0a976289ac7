import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DescriptorWatch, descriptorLimit } from '../../../src/host/descriptors.ts'
import { FakeClock } from '../../support/fake-clock.ts'

test('says once when descriptors run out, and once when that is over', async () => {
  const lines: unknown[] = []
  const logger = {
    warn: (line: object) => lines.push(line),
    info: (line: object) => lines.push(line),
  }
  let used = 10
  const watch = new DescriptorWatch({
    clock: new FakeClock(),
    logger: logger as never,
    limit: async () => 100,
    open: async () => {
      if (used > 100) throw Object.assign(new Error('too many'), { code: 'EMFILE' })
      return used
    },
  })

  for (const now of [10, 89, 90, 95, 101, 40, 10]) {
    used = now
    await watch.look()
  }

  assert.deepEqual(lines, [
    { used: 90, limit: 100 },
    { used: 40, limit: 100 },
  ])
})

test('names the limit also when none is left to read it with', async () => {
  const lines: unknown[] = []
  let isSpent = false
  const watch = new DescriptorWatch({
    clock: new FakeClock(),
    logger: { warn: (line: object) => lines.push(line), info: () => {} } as never,
    limit: async () => (isSpent ? Number.POSITIVE_INFINITY : 100),
    open: async () => {
      if (isSpent) throw Object.assign(new Error('too many'), { code: 'EMFILE' })
      return 10
    },
  })

  await watch.look()
  isSpent = true
  await watch.look()

  assert.deepEqual(lines, [{ used: 100, limit: 100 }])
})

test('knows the limit of this process', async () => {
  assert.ok((await descriptorLimit()) >= 20)
})
