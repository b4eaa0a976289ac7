import assert from 'node:assert/strict'
import { ALL, onEach } from './behaviour.ts'

onEach(ALL, (behaviour) => {
  behaviour('07', 'the name that was pulled is found by the next call', async (node) => {
    for (let round = 0; round < 5; round += 1) {
      const { name } = await node.publish()

      const ref = await node.kubelet.pullImage(name)
      const found = await node.kubelet.imageStatus(name)

      assert.equal(found?.id, ref)
      assert.ok(Number(found.size) > 0)
    }
  })

  behaviour('08', 'ten starts of containers cost one pull', async (node) => {
    const { name, path } = await node.publish()

    for (let start = 0; start < 10; start += 1) {
      // imagePullPolicy: IfNotPresent
      if ((await node.kubelet.imageStatus(name)) === undefined) await node.kubelet.pullImage(name)
    }

    assert.equal(node.pulls().filter((image) => image.includes(`${path}@`)).length, 1)
  })

  behaviour('08', 'ten starts that always pull cost one pull and ten questions', async (node) => {
    const { name, path } = await node.publish()
    const refs = new Set([await node.kubelet.pullImage(name)])
    const before = node.requests().length

    for (let start = 0; start < 9; start += 1) refs.add(await node.kubelet.pullImage(name))

    assert.equal(refs.size, 1)
    assert.equal(node.requests().length, before + 9)
    assert.equal(node.pulls().filter((image) => image.includes(`${path}@`)).length, 1)
  })

  behaviour('10', 'the names are those that were asked for, and no others', async (node) => {
    const domain = 'registry.example'
    const untagged = await node.publish({ domain })
    const { image, path, repository } = untagged
    node.push(path, image, 'latest')
    const one = await node.publish({ domain })
    const digested = await node.publish({ domain })
    const three = await node.publish({ domain })
    const tags = ['1', '2', '3'].map((tag) => `${three.repository}:${tag}`)
    for (const tag of ['2', '3']) node.push(three.path, three.image, tag)
    const byDigest = `${digested.repository}@${digested.image.digest}`

    await node.kubelet.pullImage(one.name)
    await node.kubelet.pullImage(repository)
    await node.kubelet.pullImage(byDigest)
    for (const tag of tags) await node.kubelet.pullImage(tag)

    const tagsOf = async (name: string) =>
      [...((await node.kubelet.imageStatus(name))?.repoTags ?? ['nothing'])].sort()
    assert.deepEqual(await tagsOf(one.name), [`${one.repository}:1`])
    assert.deepEqual(await tagsOf(repository), [`${repository}:latest`])
    assert.deepEqual(await tagsOf(byDigest), [])
    assert.deepEqual((await node.kubelet.imageStatus(byDigest))?.repoDigests, [byDigest])
    for (const tag of tags) assert.deepEqual(await tagsOf(tag), tags)
  })

  behaviour('11', 'a mirror with another digest, or without it, is passed over', async (node) => {
    const tampered = await node.publish()
    const missing = await node.publish()
    const ask = ({ image, repository }: typeof missing) => `${repository}@${image.digest}`
    node.m1.clear()

    node.m1.behave({ kind: 'tamper', body: (body) => Buffer.concat([body, Buffer.from(' ')]) })
    const first = await node.kubelet.pullImage(ask(tampered))
    node.m1.behave({ kind: 'answer', status: 404 })
    const second = await node.kubelet.pullImage(ask(missing))
    node.m1.behave({ kind: 'forward' })

    assert.deepEqual(
      [first, second],
      [tampered, missing].map(({ image }) => node.idOf(image)),
    )
    assert.deepEqual((await node.kubelet.imageStatus(first))?.repoDigests, [ask(tampered)])
    const asked = node.m1.requests.filter(({ path }) => path.includes('/manifests/'))
    assert.ok(asked.length >= 2)
    // Not once is it asked for what a tag is at.
    for (const { path } of asked) assert.match(path, /manifests\/sha256:[0-9a-f]{64}/)
  })

  behaviour('12', 'of a name with tag and digest the digest counts', async (node) => {
    const { image, path, repository } = await node.publish()
    node.push(path, node.newImage())
    // Gone from the tag, still there by its digest.
    const name = `${repository}:1@${image.digest}`
    node.m1.clear()

    const ref = await node.kubelet.pullImage(name)

    const found = await node.kubelet.imageStatus(name)
    assert.equal(ref, node.idOf(image))
    assert.deepEqual([found?.id, found?.repoTags], [ref, []])
    assert.deepEqual(found?.repoDigests, [`${repository}@${image.digest}`])
    assert.ok(node.m1.requests.every(({ path: asked }) => !asked.endsWith('/manifests/1')))
  })
})
