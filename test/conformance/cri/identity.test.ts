import assert from 'node:assert/strict'
import { buildIndex } from '../../support/images.ts'
import { ALL, onEach } from './behaviour.ts'

const ARM = { os: 'linux', architecture: 'arm64' }

onEach(ALL, (behaviour, runtime) => {
  behaviour('01', 'image_ref of a pull is the ID that every call answers with', async (node) => {
    const { image, name } = await node.publish()

    const ref = await node.kubelet.pullImage(name)

    assert.equal(ref, node.idOf(image))
    assert.equal((await node.kubelet.imageStatus(name))?.id, ref)
    assert.equal((await node.kubelet.imageStatus(ref))?.id, ref)
    assert.equal((await node.direct.imageStatus(ref))?.id, ref)
    for (const client of [node.kubelet, node.direct]) {
      const ids = (await client.listImages()).map(({ id }) => id)
      assert.equal(ids.filter((id) => id === ref).length, 1)
    }
  })

  behaviour('02', 'every form of a name and ID gets the same answer', async (node) => {
    const manifest = node.newImage()
    const index = buildIndex([manifest])
    const { full, name, repository } = await node.publish({ image: index })
    const ref = await node.kubelet.pullImage(name)
    const bareId = ref.replace('sha256:', '')
    const byDigest = `${repository}@${index.digest}`
    const forms = [full, byDigest, byDigest.replace('docker.io/library/', ''), ref, bareId]

    const found = await node.kubelet.imageStatus(name)

    assert.equal(found?.id, ref)
    for (const form of [...forms, bareId.slice(0, 12)]) {
      assert.deepEqual(await node.kubelet.imageStatus(form), found, form)
    }
    // A digest of a manifest alone is no name: what comes back is what the runtime makes of it.
    for (const digest of [manifest.digest, index.digest]) {
      assert.equal(await node.direct.imageStatus(digest), undefined)
      assert.equal(await node.kubelet.imageStatus(digest), undefined)
    }
  })

  behaviour('03', 'nothing is put before an ID, and nothing taken from it', async (node) => {
    const { image, name } = await node.publish()
    const ref = await node.kubelet.pullImage(name)
    const isBare = runtime === 'crio-like'
    const other = isBare ? `sha256:${ref}` : ref.replace('sha256:', '')

    const asIs = await node.kubelet.imageStatus(ref)
    const otherwise = await node.kubelet.imageStatus(other)
    const direct = await node.direct.imageStatus(other)
    await node.kubelet.removeImage(other)
    const left = await node.kubelet.imageStatus(ref)

    assert.equal(ref.startsWith('sha256:'), !isBare)
    assert.ok(image.imageId.endsWith(ref))
    assert.equal(asIs?.id, ref)
    // CRI-O takes the long form for a name, and so finds and removes nothing by it.
    assert.equal(otherwise?.id, isBare ? undefined : ref)
    assert.equal(direct?.id, otherwise?.id)
    assert.equal(left?.id, isBare ? ref : undefined)
  })

  behaviour('04', 'two names of one config are one image with both names', async (node) => {
    const image = node.newImage()
    const [x, y] = [await node.publish({ image }), await node.publish({ image })]

    const refs = [await node.kubelet.pullImage(x.name), await node.kubelet.pullImage(y.name)]

    assert.deepEqual(refs, [node.idOf(image), node.idOf(image)])
    const [only, ...others] = (await node.kubelet.listImages()).filter(({ id }) => id === refs[0])
    assert.deepEqual(others, [])
    assert.deepEqual([...(only?.repoTags ?? [])].sort(), [x.full, y.full].sort())
    assert.deepEqual(
      [...(only?.repoDigests ?? [])].sort(),
      [x, y].map(({ repository }) => `${repository}@${image.digest}`).sort(),
    )
  })

  behaviour('05', 'an index has an ID for each platform, known before the pull', async (node) => {
    const amd64 = node.newImage('amd64')
    const arm64 = { ...node.newImage('arm64'), platform: ARM }
    const index = buildIndex([amd64, arm64])
    const { name } = await node.publish({ image: index })
    const resolve = async (platform: string) => {
      const { body } = await node.get(`/resolve?ref=${name}&platform=${platform}`)
      const { digest, imageId } = JSON.parse(body) as Record<string, unknown>
      return [digest, imageId]
    }

    const answers = [await resolve('linux/amd64'), await resolve('linux/arm64')]
    const ref = await node.kubelet.pullImage(name)

    assert.deepEqual(answers, [
      [index.digest, amd64.imageId],
      [index.digest, arm64.imageId],
    ])
    assert.equal(ref, node.idOf(amd64))
  })
})
