import assert from 'node:assert/strict'
import { join } from 'node:path'
import { temporaryFolder } from '../../support/stack.ts'
import { writeArchive } from './archive.ts'
import { ALL, type Behaviour, onEach, scriptOf } from './behaviour.ts'
import { until } from './poll.ts'

onEach(ALL, (behaviour, runtime) => {
  if (runtime === 'containerd') onContainerd(behaviour)
  else byScript(behaviour)

  behaviour('26', 'the names outlive our restart with every registry down', async (node) => {
    const image = node.newImage()
    const [x, y] = [await node.publish({ image }), await node.publish({ image })]
    const other = await node.publish()
    for (const { name } of [x, y, other]) await node.kubelet.pullImage(name)
    const [ref, otherRef] = [node.idOf(image), node.idOf(other.image)]
    await node.refuseAll()

    await node.daemon.stop()
    await node.daemon.start()

    for (const { name } of [x, y]) {
      const found = await node.kubelet.imageStatus(name)
      assert.equal(found?.id, ref)
      assert.ok(Number(found.size) > 0)
      assert.deepEqual([...found.repoTags].sort(), [x.full, y.full].sort())
    }
    await node.kubelet.removeImage(y.name)
    for (const form of [x.name, y.name, ref]) {
      assert.equal(await node.kubelet.imageStatus(form), undefined, form)
    }
    await node.kubelet.removeImage(otherRef)
    assert.equal(await node.kubelet.imageStatus(other.name), undefined)
    await node.acceptAll()
  })
})

function onContainerd(behaviour: Behaviour): void {
  behaviour('23', 'an image that ctr imports is there, as containerd shows it', async (node, t) => {
    const image = node.newImage()
    const file = join(temporaryFolder(t), 'image.tar')
    writeArchive(file, image, 'docker.io/library/imported:1')
    const before = node.requests().length

    await node.containerd?.ctr('images', 'import', file)
    await until(async () => (await node.kubelet.imageStatus('imported:1')) !== undefined)

    const found = await node.kubelet.imageStatus('imported:1')
    assert.equal(found?.id, image.imageId)
    assert.deepEqual(found, await node.direct.imageStatus('imported:1'))
    assert.deepEqual(found.repoDigests, [])
    assert.ok((await node.kubelet.listImages()).some(({ id }) => id === image.imageId))
    assert.equal(node.requests().length, before)
  })

  behaviour('24', 'a name that ctr takes away is not there; the image is', async (node) => {
    const { full, name, repository } = await node.publish()
    const ref = await node.kubelet.pullImage(name)

    await node.containerd?.ctr('images', 'rm', full)
    await until(async () => (await node.kubelet.imageStatus(name)) === undefined)

    assert.equal((await node.kubelet.imageStatus(ref))?.id, ref)
    assert.equal(await node.kubelet.pullImage(name), ref)
    assert.deepEqual((await node.kubelet.imageStatus(name))?.repoTags, [full])
    await node.kubelet.removeImage(ref)
    const left = (await node.containerd?.ctr('images', 'ls', '--quiet')) ?? 'nothing was asked'
    assert.ok(!left.includes(repository) && !left.includes(ref), left)
  })
}

function byScript(behaviour: Behaviour): void {
  behaviour('23', 'an image that came past us is there, as the runtime shows it', async (node) => {
    const { image, name } = await node.publish({ domain: node.origin.host })
    await scriptOf(node).pull(name)
    node.origin.clear()

    const found = await node.kubelet.imageStatus(name)

    assert.equal(found?.id, node.idOf(image))
    assert.deepEqual(found, await node.direct.imageStatus(name))
    assert.deepEqual(node.requests(), [])
  })

  behaviour('24', 'a name whose image went past us is not there', async (node) => {
    const { full, name } = await node.publish()
    const ref = await node.kubelet.pullImage(name)

    scriptOf(node).remove(ref)

    assert.equal(await node.kubelet.imageStatus(name), undefined)
    assert.equal(await node.kubelet.pullImage(name), ref)
    assert.deepEqual((await node.kubelet.imageStatus(name))?.repoTags, [full])
    await node.kubelet.removeImage(ref)
    assert.equal(await node.kubelet.imageStatus(name), undefined)
  })
}
