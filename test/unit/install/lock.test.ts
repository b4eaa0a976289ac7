import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { withLock } from '../../../src/install/lock.ts'
import { Root } from '../../../src/install/root.ts'
import { startProgram } from '../../support/program.ts'
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

const LIB = '/var/lib'

/** A process that has the lock of a root. */
async function owner(t: TestContext, root: Root) {
  const program = startProgram(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    `import { withLock } from '${join(import.meta.dirname, '../../../src/install/lock.ts')}'
    import { Root } from '${join(import.meta.dirname, '../../../src/install/root.ts')}'
    await withLock(new Root('${root.base}'), async () => {
      console.log('has it')
      await new Promise((resolve) => setTimeout(resolve, 600_000))
    })`,
  ])
  t.after(() => program.kill())
  await program.line(/has it/)
  return program
}

test('a lock of another process is kept until that ends, however it does, and then nothing is left of it', async (t) => {
  const root = new Root(temporaryFolder(t))
  const program = await owner(t, root)

  await assert.rejects(
    withLock(root, async () => {}),
    {
      code: 'UNAVAILABLE',
      message: /another install or uninstall is running \(process \d+, \S+\)/,
    },
  )
  const between = readdirSync(root.outside(LIB)).length
  await program.kill()
  const done = await withLock(root, async () => 'done')

  assert.deepEqual([between, done, readdirSync(root.outside(LIB))], [1, 'done', []])
})

test('work goes on and ends when its lock is taken away, and a lock that another one has by then stays', async (t) => {
  const root = new Root(temporaryFolder(t))
  let others = 0

  const done = await withLock(root, async () => {
    for (const name of readdirSync(root.outside(LIB))) rmSync(join(root.outside(LIB), name))
    const program = await owner(t, root)
    others = readdirSync(root.outside(LIB)).length
    return program
  })

  assert.ok(done.running())
  assert.deepEqual([others, readdirSync(root.outside(LIB)).length], [1, 1])
  await assert.rejects(
    withLock(root, async () => {}),
    { code: 'UNAVAILABLE' },
  )
})

test('of many that begin at once one at most has the lock at a time', async (t) => {
  const root = new Root(temporaryFolder(t))
  let [inside, most] = [0, 0]
  const all = Array.from({ length: 20 }, () =>
    withLock(root, async () => {
      inside += 1
      most = Math.max(most, inside)
      await turn()
      inside -= 1
    }),
  )

  await Promise.allSettled(all)

  assert.ok(most <= 1, `${most}`)
  assert.deepEqual(readdirSync(root.outside(LIB)), [])
})

test('a root with a long path has a lock, too', async (t) => {
  const root = new Root(join(temporaryFolder(t), 'a'.repeat(120)))

  assert.equal(await withLock(root, async () => 'done'), 'done')
})

test('a root that cannot be written says so', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'var'), '')

  await assert.rejects(
    withLock(new Root(folder), async () => {}),
    { code: 'DENIED', message: /\/var\/lib cannot be written: / },
  )
})

test('what has a name like that of a lock and is none stays', async (t) => {
  const root = new Root(temporaryFolder(t))
  const folder = root.outside(LIB)
  mkdirSync(join(folder, 'image-resolver.lock.d'), { recursive: true })
  mkdirSync(join(folder, 'image-resolver.lock'))
  writeFileSync(join(folder, 'image-resolver.lock.backup.txt'), 'of others')
  symlinkSync('image-resolver.lock.1-00000000', join(folder, 'image-resolver.lock.1-00000000'))
  const before = readdirSync(folder)

  await withLock(root, async () => {})

  assert.deepEqual(readdirSync(folder), before)
})
