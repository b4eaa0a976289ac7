import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import { withLock } from '../../../src/install/lock.ts'
import { Root } from '../../../src/install/root.ts'
import { temporaryFolder } from '../../support/stack.ts'

for (const content of ['', '{"pid":', 'null', '{}']) {
  test(`a lock with ${JSON.stringify(content)} in it is taken over`, async (t) => {
    const root = new Root(temporaryFolder(t))
    const lock = root.outside('/var/lib/image-resolver.lock')
    mkdirSync(dirname(lock), { recursive: true })
    writeFileSync(lock, content)

    const done = await withLock(root, async () => 'done')

    assert.deepEqual([done, existsSync(lock)], ['done', false])
  })
}

test('a lock whose process is alive is not', async (t) => {
  const root = new Root(temporaryFolder(t))

  await withLock(root, () =>
    assert.rejects(
      withLock(root, async () => {}),
      { code: 'UNAVAILABLE' },
    ),
  )
})
