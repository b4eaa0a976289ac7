import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { ALL, onEach } from './behaviour.ts'
import type { CriNode } from './node.ts'
import { outcomeOf } from './outcome.ts'

onEach(ALL, (behaviour, runtime) => {
  for (const [number, what] of [
    ['16', 'its ID'],
    ['17', 'one of its names'],
  ] as const) {
    behaviour(number, `an image goes by ${what}, with all its names, at once`, async (node) => {
      const { forms, name, ref } = await threeNames(node)

      await node.kubelet.removeImage(number === '16' ? ref : name)

      await assertGone(node, ref, forms)
      await node.kubelet.removeImage(ref)
      await node.kubelet.removeImage(name)
      assert.equal(await node.direct.imageStatus(ref), undefined)
    })
  }

  behaviour('18', 'what is not there is removed, and nobody is asked', async (node) => {
    await node.publish()
    const before = node.requests().length

    for (const unknown of ['never', 'never:1', `never@sha256:${'0'.repeat(64)}`]) {
      await node.kubelet.removeImage(unknown)
    }
    await node.kubelet.removeImage(node.idOf(node.newImage()))

    assert.equal(node.requests().length, before)
  })

  behaviour('19', 'nothing is removed by an empty name', async (node) => {
    for (const { id } of await node.kubelet.listImages()) await node.kubelet.removeImage(id)
    const { name } = await node.publish()
    const ref = await node.kubelet.pullImage(name)

    for (const request of [
      {},
      { image: {} },
      { image: { image: '' } },
      { image: { image: ' ' } },
    ]) {
      const removal = node.kubelet.call('RemoveImage', request)
      await assert.rejects(removal, { code: status.INVALID_ARGUMENT })
    }

    assert.equal((await node.kubelet.imageStatus(name))?.id, ref)
  })

  // Not InvalidArgument: ImageStatus goes to the runtime as it came, whatever is in it, which is what
  // keeps it fast and true to the runtime. containerd finds the only image there is by the empty name,
  // and CRI-O says that there is none in the request; neither loses anything.
  behaviour('19', 'ImageStatus of an empty name is what the runtime says', async (node) => {
    await node.kubelet.pullImage((await node.publish()).name)

    const ours = await outcomeOf(node.kubelet.imageStatus(''))
    const direct = await outcomeOf(node.direct.imageStatus(''))

    assert.deepEqual(ours, direct)
  })

  behaviour('20', 'the beginning of an ID is taken for that, not for a name', async (node) => {
    const { name } = await node.publish()
    const ref = await node.kubelet.pullImage(name)
    const before = node.requests().length

    await node.kubelet.removeImage(ref.replace('sha256:', '').slice(0, 12))

    assert.equal(await node.kubelet.imageStatus(ref), undefined)
    assert.equal(node.requests().length, before)
  })

  // Only containerd takes beginnings so short, and says so when there are two images.
  if (runtime === 'containerd') {
    behaviour('20', 'two images for a beginning are the runtime’s error', async (node) => {
      const beginning = await pullTwoAlike(node)
      const listed = (await node.kubelet.listImages()).length

      const ours = await outcomeOf(node.kubelet.removeImage(beginning))
      const direct = await outcomeOf(node.direct.removeImage(beginning))

      assert.deepEqual(ours, direct)
      assert.match(JSON.stringify(ours), /ambiguous/)
      assert.equal((await node.kubelet.listImages()).length, listed)
    })
  }

  behaviour('21', 'five at once remove an image, and all succeed', async (node) => {
    const { forms, ref } = await threeNames(node)

    await Promise.all(
      Array.from({ length: 5 }, async () => {
        await node.kubelet.removeImage(ref)
        assert.equal(await node.kubelet.imageStatus(ref), undefined)
      }),
    )

    await assertGone(node, ref, forms)
  })
})

/** x:1, M1/x:1 and y:1, all of one image, each asked for by its name. */
async function threeNames(node: CriNode) {
  const image = node.newImage()
  const [x, y] = [await node.publish({ image }), await node.publish({ image })]
  const mirrors = `${node.m1.host}/${x.path}:1`
  const refs = []
  for (const name of [x.name, mirrors, y.name]) refs.push(await node.kubelet.pullImage(name))
  const [ref = ''] = refs
  assert.deepEqual(refs, [ref, ref, ref])
  const found = await node.kubelet.imageStatus(x.name)
  assert.deepEqual([...(found?.repoTags ?? [])].sort(), [x.full, mirrors, y.full].sort())
  const digests = [x, y].map(({ repository }) => `${repository}@${image.digest}`)
  return { ref, name: x.name, forms: [x.name, mirrors, y.name, ref, ...digests] }
}

async function assertGone(node: CriNode, ref: string, forms: readonly string[]): Promise<void> {
  assert.ok((await node.kubelet.listImages()).every(({ id }) => id !== ref))
  for (const form of forms) assert.equal(await node.kubelet.imageStatus(form), undefined, form)
}

/** @returns hexadecimal digits with which the IDs of two images begin */
async function pullTwoAlike(node: CriNode): Promise<string> {
  const seen = new Set<string>()
  for (;;) {
    const { image, name } = await node.publish()
    const beginning = image.imageId.replace('sha256:', '').slice(0, 1)
    if (!seen.has(beginning)) await node.kubelet.pullImage(name)
    else {
      await node.kubelet.pullImage(name)
      return beginning
    }
    seen.add(beginning)
  }
}
