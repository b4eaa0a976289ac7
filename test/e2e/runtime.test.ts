import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { isRuntimeError } from '../../src/runtime/call.ts'
import { openRuntimeChannel } from '../../src/runtime/channel.ts'
import { createCriClient } from '../../src/runtime/cri-client.ts'
import { createContainerdNames } from '../../src/runtime/names/containerd.ts'
import { createNameTable } from '../../src/runtime/names/name-table.ts'
import { loadService } from '../../src/runtime/protos.ts'
import type { CriVersion } from '../../src/runtime/types.ts'
import { servedVersions, startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, buildIndex, pushImage, type TestImage } from '../support/images.ts'
import { within } from '../support/process-state.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const LIMIT_MS = 60_000
const REPOSITORY = 'docker.io/library/x'
const PINNED = 'io.cri-containerd.pinned'
const ARM = { os: 'linux', architecture: 'arm64' }

test('an image that came through a mirror has exactly the names it was asked for', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildIndex([buildImage(), buildImage({ platform: ARM })]))

  const id = await node.pullAs(image, [`${REPOSITORY}:latest`, `${REPOSITORY}@${image.digest}`])

  assert.equal(id, image.imageId)
  const [only, ...others] = await node.kubelet.listImages()
  assert.deepEqual(others, [])
  assert.deepEqual(only?.repoTags, [`${REPOSITORY}:latest`])
  assert.deepEqual(only?.repoDigests, [`${REPOSITORY}@${image.digest}`])
  assert.deepEqual(node.warnings, [])
})

test('an image is found by each form of its name and ID as soon as naming returns', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildImage())
  const forms = [
    'x',
    'x:latest',
    `${REPOSITORY}:latest`,
    `x@${image.digest}`,
    image.imageId,
    image.imageId.slice('sha256:'.length, 'sha256:'.length + 12),
  ]

  const id = await node.pullAs(image, [`${REPOSITORY}:latest`, `${REPOSITORY}@${image.digest}`])
  const found = await Promise.all(forms.map((form) => node.cri.imageStatus(form)))

  assert.deepEqual(
    found.map((one) => one?.id),
    forms.map(() => id),
  )
})

test('names outlive a restart of containerd with the registry down', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildImage())
  const wanted = [`${REPOSITORY}:latest`, `${REPOSITORY}@${image.digest}`]
  const id = await node.pullAs(image, wanted)

  await node.registry.stop()
  await node.containerd.restart()

  const found = await node.kubelet.imageStatus('x')
  assert.equal(found?.id, id)
  assert.deepEqual([found?.repoTags, found?.repoDigests], [[wanted[0]], [wanted[1]]])
})

test('a name of the mirror that was there before stays', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildImage())
  await node.kubelet.pullImage(node.mirrorName(image))

  await node.pullAs(image, [`${REPOSITORY}:latest`, `${REPOSITORY}@${image.digest}`])

  const found = await node.kubelet.imageStatus('x')
  assert.deepEqual(found?.repoDigests.toSorted(), [
    node.mirrorName(image),
    `${REPOSITORY}@${image.digest}`,
  ])
})

test('pulls by one name of a mirror at the same time all get their names', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildImage())
  const tags = [1, 2, 3, 4, 5, 6].map((number) => `${REPOSITORY}:${number}`)

  const ids = await Promise.all(
    tags.map((tag) => node.pullAs(image, [tag, `${REPOSITORY}@${image.digest}`])),
  )

  const found = await node.kubelet.imageStatus(image.imageId)
  assert.deepEqual(new Set(ids), new Set([image.imageId]))
  assert.deepEqual(found?.repoTags.toSorted(), tags)
  assert.deepEqual(found?.repoDigests, [`${REPOSITORY}@${image.digest}`])
  assert.deepEqual(node.warnings, [])
})

test('a tag that moved names the new image, the old one keeps its digest', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const before = await node.push('latest', buildImage({ seed: 'before' }))
  const after = await node.push('latest', buildImage({ seed: 'after' }))
  await node.pullAs(before, [`${REPOSITORY}:latest`, `${REPOSITORY}@${before.digest}`])

  await node.pullAs(after, [`${REPOSITORY}:latest`, `${REPOSITORY}@${after.digest}`])

  const old = await node.kubelet.imageStatus(before.imageId)
  const current = await node.kubelet.imageStatus('x')
  assert.equal(current?.id, after.imageId)
  assert.deepEqual(current?.repoDigests, [`${REPOSITORY}@${after.digest}`])
  assert.deepEqual(old?.repoTags, [])
  assert.deepEqual(old?.repoDigests, [`${REPOSITORY}@${before.digest}`])
})

test('containerd itself labels the names that an image is given', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildImage())
  const wanted = [`${REPOSITORY}:latest`, `${REPOSITORY}@${image.digest}`]

  await node.pullAs(image, wanted)

  for (const name of wanted) {
    assert.deepEqual((await node.table.get(name))?.labels, { 'io.cri-containerd.image': 'managed' })
  }
})

test('a name that is labelled as pinned stays, with its label', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const before = await node.push('latest', buildImage({ seed: 'before' }))
  const after = await node.push('latest', buildImage({ seed: 'after' }))
  const tag = `${REPOSITORY}:latest`
  const mirrors = node.mirrorName(after)
  await node.pullAs(before, [tag])
  await node.containerd.ctr('images', 'label', tag, `${PINNED}=pinned`)

  await node.names.withLease(mirrors, async () => {
    const id = await node.pull(mirrors, 'v1')
    await node.containerd.ctr('images', 'label', mirrors, `${PINNED}=pinned`)
    return id
  }, [tag])

  for (const name of [tag, mirrors]) {
    const row = await node.table.get(name)
    assert.deepEqual([row?.target.digest, row?.labels[PINNED]], [after.digest, 'pinned'])
  }
})

test('an image that is there already is named without a pull, by any of its names', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildImage())
  await node.kubelet.pullImage(node.mirrorName(image))
  await node.registry.stop()

  const byName = await node.names.name(node.mirrorName(image), [`${REPOSITORY}:latest`])
  const byId = await node.names.name(image.imageId, [`${REPOSITORY}:also`])
  const unknown = await node.names.name(`${REPOSITORY}:unknown`, [`${REPOSITORY}:other`])

  const found = await node.kubelet.imageStatus('x')
  assert.deepEqual([byName, byId, unknown], [true, true, false])
  assert.deepEqual(found?.repoTags.toSorted(), [`${REPOSITORY}:also`, `${REPOSITORY}:latest`])
})

test('an image is removed with all its names, and removing it again is a success', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const image = await node.push('latest', buildImage())
  await node.pullAs(image, [`${REPOSITORY}:latest`, `${REPOSITORY}@${image.digest}`])

  await node.cri.removeImage(image.imageId)
  await node.cri.removeImage(image.imageId)

  assert.equal(await node.cri.imageStatus('x'), undefined)
  assert.deepEqual(await node.cri.listImages(), [])
  assert.equal(await node.table.get(`${REPOSITORY}:latest`), undefined)
})

test('an empty name finds and removes nothing, even where one image is all there is', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  await node.kubelet.pullImage(node.mirrorName(await node.push('latest', buildImage())))

  const found = await node.cri.imageStatus('')
  const removal = node.cri.removeImage('')

  assert.equal(found, undefined)
  await assert.rejects(removal, TypeError)
  assert.equal((await node.kubelet.listImages()).length, 1)
})

for (const version of await servedVersions()) {
  test(`containerd's CRI ${version} is spoken when it is configured`, async (t) => {
    if (!requireStack(t, RUNTIME_PROGRAMS)) return
    const node = await startNode(t, version)
    const image = await node.push('latest', buildImage())

    await node.pullAs(image, [`${REPOSITORY}:latest`])

    assert.equal(await node.cri.version(), version)
    assert.equal((await node.cri.imageStatus('x'))?.id, image.imageId)
    assert.equal(await node.cri.ready(), true)
  })
}

test('a pull that fails throws what containerd says, code and text', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  const missing = `${node.registry.host}/library/x:missing`
  const direct = await node.kubelet.pullImage(missing).catch((error: unknown) => error)

  const pull = node.pull(missing, 'v1')

  await assert.rejects(pull, (error) => {
    assert.ok(isRuntimeError(error))
    assert.equal(error.code, status.NOT_FOUND)
    assert.ok(isRuntimeError(direct))
    assert.equal(error.details, direct.details)
    assert.match(error.details, /^failed to pull and unpack image /)
    return true
  })
})

test('calls are refused while containerd is away, and work when it is back', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startNode(t)
  await node.cri.listImages()

  await node.containerd.kill()
  const away = await node.cri.listImages().catch((error: unknown) => error)
  const readyWhileAway = await node.cri.ready()
  await node.containerd.start()
  const isBack = await within(LIMIT_MS, () => node.cri.ready())

  assert.ok(isRuntimeError(away))
  assert.equal(away.code, status.UNAVAILABLE)
  assert.equal(readyWhileAway, false)
  assert.ok(isBack)
  assert.deepEqual(await node.cri.listImages(), [])
})

/** A containerd, a registry that serves it as a mirror, and our side of it. */
async function startNode(t: TestContext, version?: CriVersion) {
  const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  const kubelet = criClient(t, containerd.socketPath)
  const channel = openRuntimeChannel(containerd.socketPath)
  t.after(() => channel.close())
  const cri = createCriClient(channel, version)
  const table = createNameTable(channel)
  const warnings: unknown[] = []
  const names = createContainerdNames({
    isComplete: async () => true,
    table,
    imageStatus: cri.imageStatus,
    onLost: channel.onLost,
    log: { warn: (data: unknown) => warnings.push(data), info: () => {} },
  })
  const mirrorName = (image: TestImage) => `${registry.host}/library/x@${image.digest}`

  async function pull(image: string, speaking: CriVersion): Promise<string> {
    const service = loadService(
      `runtime/${speaking}/image.proto`,
      `runtime.${speaking}.ImageService`,
    )
    const method = service['PullImage']
    assert.ok(method !== undefined)
    const request = method.requestSerialize({ image: { image } })
    const response = await cri.pullImage(request, { version: speaking })
    return (method.responseDeserialize(response) as { imageRef: string }).imageRef
  }

  return {
    containerd,
    registry,
    kubelet,
    cri,
    table,
    names,
    warnings,
    mirrorName,
    pull,
    push: async (tag: string, image: TestImage) => {
      await pushImage(registry.url, 'library/x', tag, image)
      return image
    },
    pullAs: async (image: TestImage, wanted: readonly string[]) => {
      const through = mirrorName(image)
      return names.withLease(through, async () => pull(through, await cri.version()), wanted)
    },
  }
}
