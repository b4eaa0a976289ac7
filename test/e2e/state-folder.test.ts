import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type AliasNode, startAliasNode } from '../support/alias-node.ts'
import { CRI_DOCKERD, CRI_O } from '../support/image-runtime.ts'
import { buildImage } from '../support/images.ts'
import { mountDisk, remountDisk } from '../support/small-disk.ts'
import { temporaryFolder } from '../support/stack.ts'

interface Line {
  readonly level: string
  readonly msg: string
  readonly folder?: string
}

/** All that the log says beyond information, up to here, but that a busy machine has its runtime answer late. */
function warningsOf({ daemon }: AliasNode): readonly Line[] {
  const lines = daemon.program().output().trim().split('\n')
  return lines
    .map((line) => JSON.parse(line) as Line)
    .filter(({ level, msg }) => level !== 'info' && msg !== 'listener not open, retrying')
}

async function restart({ daemon }: AliasNode): Promise<void> {
  await daemon.stop()
  await daemon.start()
}

test('without a state folder images are pulled and found by their names, after one warning', async (t) => {
  const file = join(temporaryFolder(t), 'file')
  writeFileSync(file, '')
  const folder = join(file, 'state')
  const node = await startAliasNode(t, CRI_O, { image: folder })
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)
  await node.daemon.program().line(/the state folder cannot be written/)
  const [warning, ...others] = warningsOf(node)

  const ref = await node.kubelet.pullImage('nginx')

  assert.equal(warning?.folder, folder)
  assert.deepEqual(others, [])
  const found = await node.kubelet.imageStatus('nginx')
  assert.equal(found?.id, ref)
  assert.deepEqual(found.repoTags, ['docker.io/library/nginx:latest'])
  assert.deepEqual(
    warningsOf(node).map(({ msg }) => msg),
    [warning.msg, 'the names of images cannot be written'],
  )
})

test('names that were lost for want of a folder come back with one pull', async (t) => {
  const file = join(temporaryFolder(t), 'state')
  writeFileSync(file, '')
  const node = await startAliasNode(t, CRI_DOCKERD, { image: file })
  await node.push('library/nginx', 'latest', buildImage())
  const ref = await node.kubelet.pullImage('nginx')

  await restart(node)

  assert.equal(await node.kubelet.imageStatus('nginx'), undefined)
  assert.equal(await node.kubelet.pullImage('nginx'), ref)
  assert.equal((await node.kubelet.imageStatus('nginx'))?.id, ref)
})

test('a disk that is made writable keeps all names, without a restart for that', async (t) => {
  const folder = await mountDisk(t, 'ro,size=1m')
  if (folder === undefined) return
  const node = await startAliasNode(t, CRI_O, { image: folder })
  await node.push('library/nginx', 'latest', buildImage({ seed: 'one' }))
  await node.push('library/redis', 'latest', buildImage({ seed: 'two' }))
  const nginx = await node.kubelet.pullImage('nginx')

  await remountDisk(folder, 'rw')
  const redis = await node.kubelet.pullImage('redis')
  await restart(node)

  assert.equal((await node.kubelet.imageStatus('nginx'))?.id, nginx)
  assert.equal((await node.kubelet.imageStatus('redis'))?.id, redis)
})
