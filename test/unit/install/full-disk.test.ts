import assert from 'node:assert/strict'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Journal } from '../../../src/install/journal.ts'
import { withLock } from '../../../src/install/lock.ts'
import { Root } from '../../../src/install/root.ts'
import { CONTAINERD, KUBEADM_FILES, packagedNode, snapshot } from '../../support/packaged-node.ts'
import { mountDisk } from '../../support/small-disk.ts'

/** Leaves so many blocks or files of a disk free. */
function fill(disk: string, free: number, of: 'blocks' | 'inodes'): void {
  if (of === 'blocks') {
    const { bavail, bsize } = statfsSync(disk)
    writeFileSync(join(disk, 'filler'), Buffer.alloc((bavail - free) * bsize))
    return
  }
  mkdirSync(join(disk, 'filler'))
  for (let left = statfsSync(disk).ffree - free; left > 0; left -= 1) {
    writeFileSync(join(disk, 'filler', `${left}`), '')
  }
}

/** Does something on a disk with ever more room, until it is done. @returns how often it was not */
async function withEverMoreRoom(
  disk: string,
  work: (folder: string, free: number) => Promise<boolean>,
): Promise<number> {
  for (let free = 0; ; free += 1) {
    const folder = join(disk, 'root')
    mkdirSync(folder)
    const isDone = await work(folder, free)
    rmSync(folder, { recursive: true })
    rmSync(join(disk, 'filler'), { recursive: true, force: true })
    if (isDone) return free
  }
}

async function rejected(work: Promise<unknown>, message: RegExp): Promise<boolean> {
  try {
    await work
    return false
  } catch (thrown) {
    assert.match(String(thrown), message)
    return true
  }
}

for (const of of ['blocks', 'inodes'] as const) {
  const options = of === 'blocks' ? 'size=1m' : 'nr_inodes=200'

  test(`an installation for which the disk has too few ${of} is put back, at whichever step it ends`, async (t) => {
    const disk = await mountDisk(t, options)
    if (disk === undefined) return
    const failed = await withEverMoreRoom(disk, async (folder, free) => {
      const node = packagedNode(folder, KUBEADM_FILES)
      mkdirSync(node.root.outside('/var/lib'), { recursive: true })
      const bare = node.snapshot()
      fill(disk, free, of)
      const message = /cannot be written: the disk is full; what was changed is put back$/
      const isFull = await rejected(node.install(), message)
      if (isFull) assert.deepEqual(node.snapshot(), bare, node.said().join('\n'))
      return !isFull
    })
    assert.ok(failed > 2, `${failed}`)
  })

  test(`an upgrade for which the disk has too few ${of} leaves what was installed, which can be uninstalled`, async (t) => {
    const disk = await mountDisk(t, options)
    if (disk === undefined) return
    const failed = await withEverMoreRoom(disk, async (folder, free) => {
      const node = packagedNode(folder, KUBEADM_FILES)
      node.configure({ shim: '/run/new.sock', cri: CONTAINERD })
      const bare = node.snapshot()
      node.configure({ shim: '/run/old.sock' })
      await node.install()
      node.configure({ shim: '/run/new.sock', cri: CONTAINERD })
      const before = node.snapshot()
      fill(disk, free, of)
      const isFull = await rejected(
        node.install(),
        /the disk is full; what was changed is put back$/,
      )
      if (!isFull) return true
      assert.deepEqual(node.snapshot(), before)
      assert.equal(await node.uninstall(), true, node.said().join('\n'))
      assert.deepEqual(node.snapshot(), bare)
      return false
    })
    assert.ok(failed > 2, `${failed}`)
  })

  test(`a program for which the disk has too few ${of} is taken away, and a link goes back to the one before`, async (t) => {
    const disk = await mountDisk(t, options)
    if (disk === undefined) return
    const failed = await withEverMoreRoom(disk, async (folder, free) => {
      const root = new Root(folder)
      mkdirSync(root.outside('/var/lib'), { recursive: true })
      const source = root.outside('/source')
      writeFileSync(source, Buffer.alloc(20_000))
      const put = (version: string): Journal => {
        const journal = new Journal(root)
        journal.tree(
          `/opt/x/${version}`,
          [
            ['bin/x', source],
            ['lib/y', source],
          ],
          'program',
        )
        journal.link('/opt/x/current', version, 'program')
        journal.write('/etc/x', version.repeat(5_000), 'config')
        return journal
      }
      const about = { version: '1', at: '2026-01-01T00:00:00Z', socket: '/s', runtime: '/r' }
      put('1').commit(about)
      const before = snapshot(folder)
      fill(disk, free, of)
      try {
        put('2').commit(about)
        return true
      } catch (thrown) {
        assert.match(String(thrown), /the disk is full/)
      }
      const journal = new Journal(root)
      journal.tidy()
      journal.rollBack()
      assert.deepEqual(snapshot(folder), before)
      return false
    })
    assert.ok(failed > 2, `${failed}`)
  })
}

test('a lock for which the disk has no room says so', async (t) => {
  const disk = await mountDisk(t, 'nr_inodes=10')
  if (disk === undefined) return
  const root = new Root(join(disk, 'root'))
  mkdirSync(root.outside('/var/lib'), { recursive: true })
  fill(disk, 0, 'inodes')

  await assert.rejects(
    withLock(root, async () => {}),
    { code: 'DENIED', message: /image-resolver\.lock\S+ cannot be written: the disk is full$/ },
  )
})
